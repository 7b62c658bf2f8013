package filestorage

import "github.com/durusdb/durus/storage"

// Next is an object that Keep will be asked for.
type Next struct {
	OID, From storage.OID // From is an object that refers to it

	at storage.Position // where its newest state begins; 0: see Keep
}

// expecting is how many objects are looked up together: a few times what a
// processor can wait for at the same time.
const expecting = 32

// Expect is told what will be kept, the next object last. It finds out where the
// next ones are, and touches them: one after the other they would each wait for
// the memory several times; looked up together, they wait at the same time.
func (p *Packing) Expect(stack []Next) (err error) {
	n := len(stack)
	if n == 0 || stack[n-1].at != 0 {
		return nil
	}
	stack = stack[max(0, n-expecting):]
	defer p.src.guard(p.src.enter(), &err)
	for i := len(stack) - 1; i >= 0 && stack[i].at == 0; i-- {
		if pos := p.l.index.get(stack[i].OID); pos > 0 && int64(pos) < p.from {
			stack[i].at = pos
		}
	}
	p.src.touch(stack)
	return nil
}

// touch reads a little of the first bytes of each record, if the file is in
// memory.
func (s *source) touch(records []Next) {
	const line, lines = 64, 3 // of a processor's cache
	sum := byte(0)
	for i := range records {
		if at := int(records[i].at); at+line*lines <= len(s.mapped) {
			head := s.mapped[at : at+line*lines]
			sum += head[0] + head[line] + head[2*line]
		}
	}
	s.touched = sum
}
