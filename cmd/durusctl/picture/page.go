package picture

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
)

var (
	//go:embed page.html
	pageBody string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

// pageData is what the script gets.
type pageData struct {
	*Graph
	Colors map[string]string `json:"colors"` // of classes
}

// HTML writes a page to look around in the graph: one file that loads nothing. Its
// policy lets no script run but the one in it, by its hash.
func (g *Graph) HTML(to io.Writer) error {
	safe := g.cleaned()
	data, err := json.Marshal(pageData{safe, safe.palette()}) // escapes <, > and &: it cannot end the element
	if err != nil {
		return err
	}
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; base-uri 'none'; form-action 'none'; script-src '%s'; style-src '%s'">
<meta name="referrer" content="no-referrer">
<title>%s</title>
<style>%s</style>
</head>
<body>
%s<script type="application/json" id="data">%s</script>
<script>%s</script>
</body>
</html>
`, hash(pageScript), hash(pageStyle), markup(g.Title), pageStyle, pageBody, data, pageScript)
	return w.Flush()
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// cleaned is the graph with its texts cleaned.
func (g *Graph) cleaned() *Graph {
	c := &Graph{Title: clean(g.Title), Notes: make([]string, len(g.Notes)), Objects: make([]Object, len(g.Objects))}
	for i, n := range g.Notes {
		c.Notes[i] = clean(n)
	}
	for i, o := range g.Objects {
		o.ID, o.Class, o.About = clean(o.ID), clean(o.Class), clean(o.About)
		rows := make([]Row, len(o.Rows))
		for j, r := range o.Rows {
			rows[j] = Row{clean(r.Name), clean(r.Text), clean(r.To), r.Weak}
		}
		history := make([]Revision, len(o.History))
		for j, r := range o.History {
			history[j] = Revision{clean(r.TID), clean(r.Time), clean(r.User), clean(r.Description)}
		}
		o.Rows, o.History = rows, history
		c.Objects[i] = o
	}
	return c
}
