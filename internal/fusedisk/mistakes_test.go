//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"strings"
	"testing"
)

// A database that acknowledges what it has not synced is found out: the images
// are the ones that matter, and the judges look at what was acknowledged.
func TestEarlyAcknowledgementIsFound(t *testing.T) {
	each(t, func(t *testing.T, kind FileSystem) {
		r := record(t, kind, newSeed(t))
		r.scene(lieEarly)
		log := r.disk.Log()
		p := log.Play()
		for _, c := range r.cuts(log, 0, 24) {
			if _, err := r.verdict(c.image(p), r.at(c.moment)); lost(err) {
				t.Logf("found %v", err)
				return
			}
		}
		t.Errorf("%d acknowledgements, and no power cut of %d operations shows that they were lies", r.heard(), len(log.Ops))
	})
}

// So is one that takes a failed sync for a good one.
func TestIgnoredFailureIsFound(t *testing.T) {
	each(t, func(t *testing.T, kind FileSystem) {
		for n := range 10 {
			r := record(t, kind, uint64(n))
			r.disk.Inject(Fault{Kind: Write, Match: ofLedger, After: n})
			if err := r.write(10, lieUnknown, 0).wait(); err != nil {
				t.Fatal(err)
			}
			log := r.disk.Log()
			c := cut{moment: len(log.Ops)}
			if _, err := r.verdict(c.image(log.Play()), r.at(c.moment)); lost(err) {
				t.Logf("found when write %d failed: %v", n, err)
				return
			}
		}
		t.Error("no failed write shows that the writer lies")
	})
}

// lost tells whether a judge missed something acknowledged.
func lost(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "lost: ") || strings.Contains(err.Error(), "the database is gone"))
}
