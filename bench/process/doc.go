// Package process runs workloads in processes of their own: the program starts
// itself again and tells its children over their standard input what to do. A
// child keeps its database open from one job to the next.
package process
