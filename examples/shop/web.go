package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"log"
	"net/http"

	"github.com/durusdb/durus/durus"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"euros": func(cents int64) string { return fmt.Sprintf("%d.%02d €", cents/100, cents%100) },
}).Parse(pageHTML))

// page is what the template shows. It points to objects of the database: what
// Load gives stays as it was, so they may be read when the View is over.
type page struct {
	Message  string
	Products []offer
	Cart     int // things in it
	Total    int64
	Orders   []*Order
}

type offer struct {
	*Product
	Article string
	InCart  int
}

func newPage(ctx context.Context, db *durus.DB, cookie string) (*page, error) {
	return durus.Result(ctx, db.View, func(tx *durus.Tx) (*page, error) {
		s := durus.Must(shop.Load(tx))
		visitor, found, err := s.Sessions.Get(tx, cookie)
		if err != nil {
			return nil, err
		}
		if !found {
			visitor = &Session{}
		}
		var p page
		for article, product := range durus.Each(tx, s.Products.All(tx)) {
			n := visitor.Cart[article]
			p.Products = append(p.Products, offer{product, article, n})
			p.Cart += n
			p.Total += int64(n) * product.Cents
		}
		for _, ref := range visitor.Orders {
			p.Orders = append(p.Orders, durus.Must(ref.Load(tx)))
		}
		return &p, nil
	})
}

// handler answers requests. To look at the page is a View; only who changes a
// cart writes.
type handler struct{ db *durus.DB }

func newHandler(db *durus.DB) http.Handler {
	h := handler{db}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { h.show(w, r, nil) })
	mux.HandleFunc("POST /cart/{article}", func(w http.ResponseWriter, r *http.Request) {
		more := 1
		if r.FormValue("take") == "out" {
			more = -1
		}
		h.show(w, r, putInCart(r.Context(), h.db, cookie(w, r), r.PathValue("article"), more))
	})
	mux.HandleFunc("POST /order", func(w http.ResponseWriter, r *http.Request) {
		h.show(w, r, checkout(r.Context(), h.db, cookie(w, r)))
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

// show answers with the page, with what is in the way of a change that was asked
// for, and after a change by way of a redirection, so that to reload the page
// does not repeat it.
func (h handler) show(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil && r.Method == http.MethodPost {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	var why refusal
	if err == nil || errors.As(err, &why) {
		var p *page
		if p, err = newPage(r.Context(), h.db, cookie(w, r)); err == nil {
			if p.Message = string(why); why != "" {
				w.WriteHeader(http.StatusConflict)
			}
			err = pageTemplate.Execute(w, p)
		}
	}
	if err != nil {
		log.Print(err)
		http.Error(w, "The shop is closed for a moment.", http.StatusInternalServerError)
	}
}

// cookie is the visitor's, or a new one.
func cookie(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie("visitor"); err == nil && len(c.Value) == len(rand.Text()) {
		return c.Value
	}
	c := &http.Cookie{Name: "visitor", Value: rand.Text(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	http.SetCookie(w, c)
	r.AddCookie(c) // for the next one who asks
	return c.Value
}
