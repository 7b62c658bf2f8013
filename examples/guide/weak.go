package main

import (
	"context"
	"fmt"

	"github.com/durusdb/durus/durus"
)

type Post struct {
	Text    string
	Answers durus.WeakRef[Post] // does not keep the other post alive
}

type Forum struct {
	Posts []durus.Ref[Post]
}

var (
	_     = durus.Register[Post]("guide.Post")
	_     = durus.Register[Forum]("guide.Forum")
	forum = durus.NewRoot[Forum]("forum")
)

func weak(ctx context.Context, db *durus.DB) error {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		question := durus.Must(durus.Add(tx, &Post{Text: "why?"}))
		draft := durus.Must(durus.Add(tx, &Post{Text: "hm"})) // nothing will refer to it
		durus.Must(forum.Edit(tx)).Posts = []durus.Ref[Post]{
			question,
			durus.Must(durus.Add(tx, &Post{Text: "because", Answers: question.Weak()})),
			durus.Must(durus.Add(tx, &Post{Text: "indeed", Answers: draft.Weak()})),
		}
		return nil
	})
	if err != nil {
		return err
	}

	err = db.View(ctx, func(tx *durus.Tx) error {
		for _, ref := range durus.Must(forum.Load(tx)).Posts[1:] {
			post := durus.Must(ref.Load(tx))
			to, ok, err := post.Answers.Load(tx)
			if err != nil {
				return err
			}
			if ok {
				fmt.Printf("%q answers %q\n", post.Text, to.Text)
			} else {
				fmt.Printf("what %q answers is gone\n", post.Text)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}

	return db.View(ctx, func(tx *durus.Tx) error {
		n := 0
		for range durus.Instances[Post](tx) {
			n++
		}
		fmt.Println(n, "posts in the file")
		return nil
	})
}
