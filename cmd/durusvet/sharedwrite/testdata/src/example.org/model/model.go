// Package model has types and functions that know nothing of durus.
package model

type Account struct {
	Owner   string
	Balance int64
	Tags    []string
}

func (a *Account) SetOwner(s string) { a.Owner = s } // want SetOwner:"writes0"

func (a *Account) Name() string { return a.Owner }

func (a Account) With(s string) Account { a.Owner = s; return a }

func (a Account) Scribble() { a.Tags[0] = "x" } // want Scribble:"writes0"

// Pay writes through another function.
func Pay(n int64, a *Account) { pay(a, n) } // want Pay:"writes1"

func pay(a *Account, n int64) { a.Balance += n } // want pay:"writes0"

// Later writes when its result is called.
func Later(a *Account) func() { return func() { a.Balance = 0 } } // want Later:"writes0"

func Fill[T any](list []T, v T) { // want Fill:"writes0"
	for i := range list {
		list[i] = v
	}
}

// Either may write, but not to what it is given alone.
func Either(a *Account, edit bool) {
	b := a
	if edit {
		b = &Account{}
	}
	b.Balance = 1
}

func Loop(a *Account, n int) { // want Loop:"writes0"
	if n > 0 {
		Loop(a, n-1)
	}
	a.Balance++
}
