// Package async makes any storage an asynchronous one: the operations of its
// files and writers never wait. They answer vfs.ErrAgain, a bounded number of
// workers carries them out on the storage below, and the same call gets the
// result when vfs.Ready says so. vfs.Blocking makes calls that wait of it, many
// of which are then under way at a time: a storage with a long latency gets
// fast by this.
//
//	fsys := vfs.Blocking(async.New(lower, async.Options{}))
//
// # What holds
//
//   - Opening is an operation, too: a Stat below. It is begun by the first call
//     that needs the file. One that hangs keeps one worker and nothing else.
//   - Appends, rewrites and cuts of a file happen one after the other, in the
//     order of the calls. Everything else of a file happens side by side. A Sync
//     begins below after the call of Sync, so it covers every change that was
//     answered before.
//   - Workers take operations in turn from all files that have some, of each in
//     the order of the calls. Waiting for a worker is ErrAgain, never a wait of
//     the caller.
//   - A result is handed out once. Options.ReadBytes bounds the memory of reads
//     that are under way or were not collected. A read for which there is no room
//     waits without memory. To make room, results are dropped that nobody came
//     for, the oldest first, but none within half a second after its callback
//     has returned: who comes when he is called makes progress, however many
//     others there are. Who comes later may have to read again.
//   - A Writer keeps at most Options.Buffer bytes that are not below yet, or one
//     greater piece. Bytes for Append and Rewrite are not copied.
//   - Callbacks run on a goroutine of their own, one at a time.
//   - Close waits for a change that is under way, because its bytes and the end
//     of the file are the caller's again afterwards, and for a callback of this
//     file that is running. It does not wait for reads, a Sync or an opening: the
//     last of them closes the file below. What has not begun is never begun.
//   - Errors are those of the storage below. Whether one of opening stays is up
//     to it; vfs demands that it does.
//
// # Reading ahead
//
// vfs.WillNeed reads a range before it is asked for, if there is room. Who reads
// a file in order finds what comes next read ahead, but only as far as it is
// vfs.Settled: other bytes may change, and a stale tail would make a writer cut
// off what others have committed. What lies in such ranges is answered at once,
// or waited for, without another read. Bytes that were settled before they were
// read are good until room is needed; others, which only WillNeed allows, for
// half a second. vfs.Doubted drops all of it, and every result of the range in
// doubt; nothing is read ahead until the file is advised to be settled again.
// Changes through the handle drop what lies behind where they begin.
//
// # Concurrency
//
// One mutex, FS.mu, guards the state of an FS and of all its files and writers.
// It is never held while the storage below or a callback is called, or while
// bytes are copied to a reader, so there is no lock order. Goroutines come when
// there is work and go after a tenth of a second without: an FS needs no Close.
//
// Package async imports the package vfs and nothing else of this module.
package async
