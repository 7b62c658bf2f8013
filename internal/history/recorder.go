package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Recorder writes the events of one incarnation of one process to a file of
// its own. Each event is one write to a file opened for appending, so a
// process that is killed leaves whole lines and perhaps half of a last one.
// It is safe for use by many goroutines.
type Recorder struct {
	process, incarnation int

	mu     sync.Mutex // guards what is below, and the order of lines
	file   *os.File
	number int
	buf    []byte
}

// NewRecorder creates the event file of a process in dir. It is an error if
// that incarnation has one already.
func NewRecorder(dir string, process, incarnation int) (*Recorder, error) {
	name := filepath.Join(dir, fmt.Sprintf("p%03d-%06d.jsonl", process, incarnation))
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("history: cannot record: %w", err)
	}
	return &Recorder{process: process, incarnation: incarnation, file: f}, nil
}

// Stamps returns the source of unique values for this recorder.
func (r *Recorder) Stamps() *Stamps { return NewStamps(r.process, r.incarnation) }

// Call writes down what is about to be done. It must return before the
// operation begins. The number goes to Return.
func (r *Recorder) Call(ops []Op) (number int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	e := Event{Process: r.process, Incarnation: r.incarnation, Number: r.number, Type: Call, Time: Now(), Ops: ops}
	return r.number, r.write(&e)
}

// Return writes down what came of the call with e.Number. It fills in process,
// incarnation and time.
func (r *Recorder) Return(e Event) error {
	e.Time = Now() // before waiting for others: a later time would only weaken the check
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Process, e.Incarnation = r.process, r.incarnation
	return r.write(&e)
}

func (r *Recorder) write(e *Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	r.buf = append(append(r.buf[:0], line...), '\n')
	_, err = r.file.Write(r.buf)
	return err
}

// Close closes the file.
func (r *Recorder) Close() error { return r.file.Close() }

// ReadDir returns the events of all recorders that wrote to dir.
func ReadDir(dir string) ([]Event, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var events []Event
	for _, name := range names {
		if events, err = readFile(events, name); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// readFile adds the events of one file. A last line without its end was cut
// off by a kill: a call that had not begun, or an outcome that nobody was told.
func readFile(events []Event, name string) ([]Event, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for r, number := bufio.NewReader(f), 1; ; number++ {
		line, err := r.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				return events, nil
			}
			return nil, err
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("history: %s:%d: %w", name, number, err)
		}
		events = append(events, e)
	}
}
