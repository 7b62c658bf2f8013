// Command v2 is the second of three programs that work on one club: it splits
// the names of members, and the club has a town. See ../v1.
//
//	go run ./examples/guide/versions/v2 club.durus
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/durusdb/durus/durus"
)

type Member struct {
	First, Last string
	Fine        float64 // euros
}

// memberV1 is what the first program stores, as far as splitName needs it.
type memberV1 struct {
	Name string
}

func splitName(old *memberV1, new *Member) error {
	new.First, new.Last, _ = strings.Cut(old.Name, " ")
	return nil
}

type Club struct {
	Title   string
	Town    string // new, and needs nothing else
	Members durus.BTree[string, durus.Ref[Member]]
}

var (
	_    = durus.Register[Member]("club.Member", durus.Version(2), durus.Upgrade(1, splitName))
	_    = durus.Register[Club]("club.Club")
	club = durus.NewRoot[Club]("club")
)

func main() {
	db, err := durus.Open(os.Args[1], nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		words := strings.Fields(in.Text())
		answer, err := run(context.Background(), db, words[0], words[1:])
		switch {
		case errors.Is(err, durus.ErrTooNew):
			answer = "too new for this program"
		case err != nil:
			answer = err.Error()
		}
		fmt.Println(answer)
	}
}

func run(ctx context.Context, db *durus.DB, verb string, args []string) (answer string, err error) {
	err = db.Update(ctx, func(tx *durus.Tx) error {
		answer = "ok"
		c := durus.Must(club.Load(tx))
		if verb == "town" {
			durus.Must(club.Edit(tx)).Town = args[0]
			return nil
		}
		if verb == "club" {
			answer = fmt.Sprintf("%s, %s", c.Title, c.Town)
			return nil
		}
		ref, _, err := c.Members.Get(tx, args[0])
		if err != nil {
			return err
		}
		if verb == "fine" {
			durus.Must(ref.Edit(tx)).Fine = durus.Must(strconv.ParseFloat(args[1], 64))
			return nil
		}
		m := durus.Must(ref.Load(tx))
		answer = fmt.Sprintf("%s, %s owes %.2f euros", m.Last, m.First, m.Fine)
		return nil
	})
	return answer, err
}
