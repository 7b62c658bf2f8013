// Command v1 is the oldest of three programs that work on one club, see the
// chapter on types that change in docs/guide.md. Commands come on standard
// input:
//
//	go run ./examples/guide/versions/v1 club.durus
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
	Name string  // "Ada Lovelace"
	Fine float64 // euros
}

type Club struct {
	Title   string
	Members durus.BTree[string, durus.Ref[Member]]
}

var (
	_    = durus.Register[Member]("club.Member")
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
		if verb == "title" {
			durus.Must(club.Edit(tx)).Title = strings.Join(args, " ")
			return nil
		}
		if verb == "join" {
			m := durus.Must(durus.Add(tx, &Member{Name: strings.Join(args[1:], " ")}))
			return c.Members.Put(tx, args[0], m)
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
		answer = fmt.Sprintf("%s owes %.2f euros", m.Name, m.Fine)
		return nil
	})
	return answer, err
}
