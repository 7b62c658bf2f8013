package process

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Child says whether this process was started by a Group.
func Child() bool { return os.Getenv(Environ) != "" }

// Serve does the jobs of a Group until there are no more.
func Serve(do func(Job) (Result, error)) error {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := json.NewEncoder(os.Stdout)
	for {
		var job Job
		if err := in.Decode(&job); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading a job: %w", err)
		}
		r, err := do(job)
		if err != nil {
			r.Error = err.Error()
		}
		if err := out.Encode(r); err != nil {
			return fmt.Errorf("writing a result: %w", err)
		}
	}
}
