package filestorage

// baseWriter seals and writes base frames on a goroutine of its own, while the next
// one is collected. Until it was stopped the new file is its alone.
type baseWriter struct {
	full  chan baseFrame // to be written
	empty chan baseFrame // whose memory may be used again
	sent  int64          // bytes of the frames that were passed on

	done chan struct{} // closed when it has ended
	err  error         // why, once done is closed
}

// basesAhead is how many frames wait to be written at most.
const basesAhead = 2

func startBaseWriter(out *generation) *baseWriter {
	c := &baseWriter{full: make(chan baseFrame, basesAhead), empty: make(chan baseFrame, basesAhead+1), done: make(chan struct{})}
	for range cap(c.empty) {
		c.empty <- baseFrame{}
	}
	go func() {
		defer close(c.done)
		c.err = c.run(out)
	}()
	return c
}

func (c *baseWriter) run(out *generation) error {
	var d draft
	for b := range c.full {
		if err := b.write(out, &d); err != nil {
			return err
		}
		c.empty <- b
	}
	return nil
}

// pass gives a frame to the baseWriter, and returns memory for another one.
func (c *baseWriter) pass(b baseFrame) (baseFrame, error) {
	c.sent += b.size()
	select {
	case c.full <- b:
	case <-c.done:
		return b, c.err
	}
	select {
	case b = <-c.empty:
		return b, nil
	case <-c.done:
		return b, c.err
	}
}

// stop returns when everything that was passed is in the new file.
func (c *baseWriter) stop() error {
	close(c.full)
	<-c.done
	return c.err
}
