// Brings the index up to date with the packs when an archive is opened, and finds where to go on
// writing.
//
// What damage and missing packs cost is told by the sequence numbers on both sides, and kept in the
// index for the numbering of versions (FORMAT.md, "Numbers that are lost").
//
// A pack counts up to its end: where the header of the next pack says that it ends; for the last
// one, up to the first damage that isn't known to lie in what was durable once (by a barrier or the
// index's watermark). Such damage is the tail that a crash leaves: nothing from there on was
// acknowledged, unless damage has hit the very last group after it was; it is reported as possibly
// so, nothing is cut, and writing goes on in a new pack. Damage before is rot: reported and passed
// over; objects that it hurts stay, and reading them fails.
#ifndef ARCHIVE_REPLAY_H_
#define ARCHIVE_REPLAY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/env.h"
#include "archive/index.h"
#include "archive/pack_files.h"
#include "archive/pack_writer.h"

namespace vxa {

// Replays everything behind the index's checkpoint. `durable` is a place in the packs that is known
// by another way to have been durable once, if any is. FAILED_PRECONDITION if the packs are of a
// format that only a later program knows; ABORTED if the index is of other packs: then it is to be
// destroyed. Of other packs it is too if one has come back that it didn't have.
absl::StatusOr<PackWriter::Start> Replay(Env& env, PackFiles& packs, Index& index,
                                         const Position& durable = {});

}  // namespace vxa

#endif  // ARCHIVE_REPLAY_H_
