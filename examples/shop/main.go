// Command shop is a small web shop: a server, any number of them if you like,
// and a worker for cron, which are processes of their own on one file.
//
//	go run ./examples/shop serve          then open http://localhost:8080
//	go run ./examples/shop work           ships what was ordered, and restocks
//
// Two buyers never get the last teapot both: the second order runs again, and
// finds none left. shop.go has no locks, and no queries: indexes find the work.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"html/template"
	"log"
	"net/http"

	"github.com/durusdb/durus/durus"
)

func main() {
	file := flag.String("file", "shop.durus", "the database")
	addr := flag.String("addr", "localhost:8080", "where to listen")
	flag.Parse()
	verb := flag.Arg(0)
	if known := verb == "serve" || verb == "work"; !known || flag.NArg() > 1 {
		log.Fatal("use: serve, or work; -h tells the flags that go before it")
	}
	db, err := durus.Open(*file, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	switch verb {
	case "serve":
		if err = furnish(ctx, db); err == nil {
			log.Print("open http://", *addr)
			err = http.ListenAndServe(*addr, newHandler(db)) // until Ctrl-C kills it, which does no harm
		}
	case "work":
		err = work(ctx, db)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		log.Fatal(err)
	}
}

//go:embed page.html
var html string

var page = template.Must(template.New("page").Parse(html))

func newHandler(db *durus.DB) http.Handler {
	show := func(w http.ResponseWriter, r *http.Request) {
		v, err := look(r.Context(), db, r.PathValue("number"))
		if err == nil {
			err = page.Execute(w, v)
		}
		explain(w, err)
	}
	order := func(w http.ResponseWriter, r *http.Request) {
		number, err := buy(r.Context(), db, r.PathValue("product"))
		if err == nil {
			http.Redirect(w, r, "/orders/"+number, http.StatusSeeOther) // to reload that does not buy again
		}
		explain(w, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", show)
	mux.HandleFunc("GET /orders/{number}", show)
	mux.HandleFunc("POST /buy/{product}", order)
	return http.NewCrossOriginProtection().Handler(mux)
}

// explain answers with what was in the way, if there was something.
func explain(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errUnknown):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, errSoldOut):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		log.Print(err)
		http.Error(w, "the shop is closed for a moment", http.StatusInternalServerError)
	}
}
