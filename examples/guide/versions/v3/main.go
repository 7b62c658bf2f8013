// Command v3 is the newest of three programs that work on one club: it counts
// fines in cents. See ../v1.
//
//	go run ./examples/guide/versions/v3 club.durus
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/durusdb/durus/durus"
)

type Member struct {
	First, Last string
	Fine        int64 // cents
}

type memberV1 struct {
	Name string
}

type memberV2 struct {
	First, Last string
	Fine        float64 // euros
}

func splitName(old *memberV1, new *memberV2) error {
	new.First, new.Last, _ = strings.Cut(old.Name, " ")
	return nil
}

func toCents(old *memberV2, new *Member) error {
	new.Fine = int64(math.Round(old.Fine * 100))
	return nil
}

type Club struct {
	Title   string
	Town    string
	Members durus.BTree[string, durus.Ref[Member]]
}

var (
	_ = durus.Register[Member]("club.Member",
		durus.Version(3),
		durus.Upgrade(1, splitName),
		durus.Upgrade(2, toCents))
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
	if verb == "migrate" {
		report, err := db.Migrate(ctx, nil)
		return fmt.Sprint(report.Migrated, " migrated"), err
	}
	err = db.Update(ctx, func(tx *durus.Tx) error {
		answer = "ok"
		c := durus.Must(club.Load(tx))
		if verb == "club" {
			answer = fmt.Sprintf("%s, %s", c.Title, c.Town)
			return nil
		}
		ref, _, err := c.Members.Get(tx, args[0])
		if err != nil {
			return err
		}
		if verb == "fine" {
			durus.Must(ref.Edit(tx)).Fine = durus.Must(strconv.ParseInt(args[1], 10, 64))
			return nil
		}
		m := durus.Must(ref.Load(tx))
		answer = fmt.Sprintf("%s, %s owes %d cents", m.Last, m.First, m.Fine)
		return nil
	})
	return answer, err
}
