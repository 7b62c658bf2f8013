// Package picture draws objects and the references between them: as DOT text, as
// an SVG picture for print, as an HTML page to look around in. It knows nothing
// of databases.
//
// # Invariants
//
//   - The same graph gives the same bytes.
//   - Text from outside is escaped by each format, whatever it holds, and control
//     characters never get through: see clean.
//   - Cards do not overlap, and text stays inside its card. No meaning is in
//     colors alone.
//   - A page loads nothing, and runs no script but its own.
//
// It imports the standard library only.
package picture
