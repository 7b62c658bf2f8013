package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/durusdb/durus/durus"
)

type Score struct {
	Played  int
	Players []string
}

type Game struct {
	Score durus.Ref[Score]
}

// mergeScores brings two changes of one score together: games add up, and
// players are those of both.
func mergeScores(base, theirs, mine *Score) (*Score, error) {
	mine.Played += theirs.Played - base.Played
	for _, p := range theirs.Players {
		if !slices.Contains(mine.Players, p) {
			mine.Players = append(mine.Players, p)
		}
	}
	slices.Sort(mine.Players)
	return mine, nil
}

var (
	_    = durus.Register[Score]("guide.Score", durus.Merge(mergeScores))
	_    = durus.Register[Game]("guide.Game")
	game = durus.NewRoot[Game]("game")
)

func merging(ctx context.Context, db *durus.DB) error {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		durus.Must(game.Edit(tx)).Score = durus.Must(durus.Add(tx, &Score{}))
		return nil
	})
	if err != nil {
		return err
	}
	var txs []*durus.Tx // all of them begin before the first one ends
	for _, name := range []string{"ada", "bob"} {
		tx, err := db.Begin(ctx, true)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := play(tx, name); err != nil {
			return err
		}
		txs = append(txs, tx)
	}
	for _, tx := range txs {
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return db.View(ctx, func(tx *durus.Tx) error {
		s := durus.Must(durus.Must(game.Load(tx)).Score.Load(tx))
		fmt.Println(s.Played, "games of", s.Players)
		return nil
	})
}

func play(tx *durus.Tx, name string) error {
	g, err := game.Load(tx)
	if err != nil {
		return err
	}
	s, err := g.Score.Edit(tx)
	if err != nil {
		return err
	}
	s.Played++
	s.Players = append(s.Players, name)
	return nil
}
