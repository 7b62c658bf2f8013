// Package history checks, from the outside, that a database kept its promises.
// Clients write down what they are about to do and what came of it (Recorder);
// afterwards three checkers, which share nothing but the events, judge the
// whole history:
//
//   - Witness replays the events against the final log. It is linear and
//     complete, but takes the log's word for the order of transactions.
//   - Cycles does not look at the log or at transaction ids. It infers from the
//     values that were read who must have come before whom, and looks for
//     cycles (Adya's anomalies; the method is that of Kingsbury and Alvaro,
//     "Elle: inferring isolation anomalies from experimental observations",
//     VLDB 2020).
//   - Linear hands a small history to porcupine, an independent
//     linearizability checker by another author.
//
// # The claim
//
// Update transactions are strictly serializable, in the order of the log. A
// read-only transaction sees a prefix of the log that holds every transaction
// which returned before it began.
//
// # Words
//
// A key names an object that holds a list of numbers; no number is the same as
// none. Every write carries a number that no other write of the whole history
// carries (Stamps), so a value tells who wrote it. An operation whose
// client died, or was told "outcome unknown", is info: it may have
// happened, once and whole, or not at all. A run that shows too little, such as
// one without a single conflict, is a failure too (Require).
//
// This package is for tests only. It imports nothing of this module.
package history
