package history

import "fmt"

// Sum checks a workload that keeps a sum, such as Bank: every committed
// transaction that only reads, and reads all the keys, finds the total in
// their first numbers.
func Sum(txns []Txn, keys []int64, total int64) *Report {
	r := &Report{Checker: "sum"}
	r.count(txns, Require{ReadOnly: 1})
	wanted := make(map[int64]bool, len(keys))
	for _, k := range keys {
		wanted[k] = true
	}
	looked := 0
	for i := range txns {
		t := &txns[i]
		if t.Outcome != OK || t.Writes() {
			continue
		}
		sum, seen := int64(0), 0
		for j, op := range t.Ops {
			if wanted[op.Key] {
				seen++
				if len(t.Vals[j]) > 0 {
					sum += t.Vals[j][0]
				}
			}
		}
		if seen != len(keys) {
			continue
		}
		looked++
		if sum != total {
			r.add(Anomaly{Name: WrongRead, Key: keys[0], Txns: []ID{t.ID},
				Detail: fmt.Sprintf("the sum of %d keys is %d, not %d", len(keys), sum, total)})
		}
	}
	if looked == 0 {
		r.add(Anomaly{Name: Vacuous, Detail: "no transaction read all the keys"})
	}
	return r
}

// Count checks a counter that only grows: what it stands at in the end is at
// least the sum of the acknowledged increments, and at most that and the sum of
// those whose outcome is not known. It looks at no values in the history.
func Count(txns []Txn, key, final int64) *Report {
	r := &Report{Checker: "count"}
	r.count(txns, Require{})
	var least, more int64
	for i := range txns {
		t := &txns[i]
		for _, op := range t.Ops {
			if op.Kind != Increment || op.Key != key {
				continue
			}
			switch t.Outcome {
			case OK:
				least += op.Delta
			case Info:
				more += op.Delta
			}
		}
	}
	switch {
	case final < least:
		r.add(Anomaly{Name: LostWrite, Key: key, Detail: fmt.Sprintf("it stands at %d after %d acknowledged increments", final, least)})
	case final > least+more:
		r.add(Anomaly{Name: Duplicate, Key: key, Detail: fmt.Sprintf("it stands at %d after at most %d increments", final, least+more)})
	}
	return r
}
