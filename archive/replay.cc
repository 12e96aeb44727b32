#include "archive/replay.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/fold.h"
#include "archive/log.h"
#include "archive/pack_scanner.h"
#include "decoders/builtin.h"

namespace vxa {
namespace {

// Changes collected before they go into the index.
constexpr size_t kBatch = 4096;

constexpr Uuid kUnknown{};

// No more records than this fit into so many bytes.
uint64_t MostRecords(uint64_t bytes) { return (bytes + kRecordHeaderSize - 1) / kRecordHeaderSize; }

class Replayer {
 public:
  Replayer(Env& env, PackFiles& packs, Index& index, const Position& durable)
      : env_(env), packs_(packs), index_(index), state_(index), durable_(durable) {}

  absl::StatusOr<PackWriter::Start> Run();

 private:
  absl::Status ReadIndex();
  absl::Status UseKnownDurable(const std::vector<uint32_t>& numbers);
  absl::Status CheckIndex(const std::vector<uint32_t>& numbers);
  void Miss(uint32_t number);
  absl::Status ReplayPack(uint32_t number, uint32_t next);
  absl::StatusOr<PackHeader> HeaderBehind(uint32_t number, uint32_t next);
  absl::Status BeginPack(const OpenPack& pack, const Uuid& uuid);
  absl::Status ReplayRecords(const File& file, uint64_t end, uint64_t bound);
  absl::StatusOr<uint64_t> DurableBound(const File& file, uint64_t from, uint64_t end) const;
  absl::Status ApplyRecord(const Scanned& record);
  void PassHeader(uint64_t sequence);
  void PassDamage(uint64_t bytes);
  void Lose(uint64_t records);
  absl::Status MakeDurable(const File& file, uint64_t from, uint64_t end);
  absl::StatusOr<PackWriter::Start> Finish(uint32_t next_pack);
  absl::Status CollectDecoders();
  std::string Path(uint32_t number) const;

  Env& env_;
  PackFiles& packs_;
  Index& index_;
  IndexTransaction state_;
  Position position_;       // up to where everything is in state_, from the index's checkpoint on
  Position seen_;           // up to where the index had it; durable once
  const Position durable_;  // known by another way to have been durable
  bool clean_ = false;      // whether writing can go on there
  uint64_t abandoned_ = 0;  // bytes behind it that don't count
  bool news_ = false;       // whether there were records that the index hadn't

  // What was lost is told by the sequence numbers on both sides of it.
  bool damaged_ = false;        // whether there is damage between the last genuine header and here
  uint64_t damaged_bytes_ = 0;  // in which no more can have been than fits
  uint64_t lost_ = 0;           // records that may have given out versions, of all before here
  std::map<Digest, Location> decoders_;
};

absl::StatusOr<PackWriter::Start> Replayer::Run() {
  if (absl::Status read = ReadIndex(); !read.ok()) return read;
  absl::StatusOr<std::vector<uint32_t>> numbers = packs_.List();
  if (!numbers.ok()) return numbers.status();
  if (absl::Status known = UseKnownDurable(*numbers); !known.ok()) return known;
  if (absl::Status checked = CheckIndex(*numbers); !checked.ok()) return checked;

  uint32_t expected = 1;
  for (size_t i = 0; i < numbers->size(); ++i) {
    const uint32_t number = (*numbers)[i];
    while (expected < number) Miss(expected++);
    ++expected;
    if (number < position_.pack) continue;
    const uint32_t next = i + 1 < numbers->size() ? (*numbers)[i + 1] : 0;
    if (absl::Status status = ReplayPack(number, next); !status.ok()) return status;
  }
  while (expected <= std::max(position_.pack, seen_.pack)) Miss(expected++);
  return Finish(expected);
}

absl::Status Replayer::ReadIndex() {
  absl::StatusOr<Position> watermark = index_.Watermark();
  if (!watermark.ok()) return watermark.status();
  seen_ = *watermark;
  absl::StatusOr<Position> checkpoint = index_.Checkpointed();
  if (!checkpoint.ok()) return checkpoint.status();
  position_ = *checkpoint;
  absl::StatusOr<uint64_t> lost = index_.LostBefore(position_.next_sequence);
  if (!lost.ok()) return lost.status();
  lost_ = *lost;
  return absl::OkStatus();
}

// Takes what else is known to have been durable for seen, if it is of these packs.
absl::Status Replayer::UseKnownDurable(const std::vector<uint32_t>& numbers) {
  const bool further =
      durable_.pack > seen_.pack || (durable_.pack == seen_.pack && durable_.offset > seen_.offset);
  if (!further || !std::ranges::binary_search(numbers, durable_.pack)) return absl::OkStatus();
  absl::StatusOr<std::shared_ptr<const OpenPack>> pack = packs_.Open(durable_.pack);
  if (!pack.ok()) return pack.status();
  if ((*pack)->header.uuid == durable_.uuid) seen_ = durable_;
  return absl::OkStatus();
}

// Whether the index is of these packs and no others: a foreign one isn't, nor one that was made
// while a pack was missing that has come back.
absl::Status Replayer::CheckIndex(const std::vector<uint32_t>& numbers) {
  for (uint32_t number : numbers) {
    if (number > std::max(position_.pack, seen_.pack)) break;
    absl::StatusOr<std::optional<Uuid>> known = index_.PackUuid(number);
    if (!known.ok()) return known.status();
    absl::StatusOr<std::shared_ptr<const OpenPack>> pack = packs_.Open(number);
    if (!pack.ok()) return pack.status();
    const Uuid& uuid = (*pack)->header.uuid;
    const bool foreign = uuid != kUnknown && ((*known && uuid != **known) ||
                                              (number == seen_.pack && uuid != seen_.uuid));
    if (foreign || (!*known && number <= position_.pack)) {
      return absl::AbortedError(absl::StrCat("the index is not of this pack ", PackName(number)));
    }
  }
  return absl::OkStatus();
}

void Replayer::Miss(uint32_t number) {
  Log(LogLevel::kError, absl::StrCat("pack ", PackName(number), " is missing"));
  if (number >= position_.pack) damaged_ = true;
}

absl::Status Replayer::ReplayPack(uint32_t number, uint32_t next) {
  const std::string name = PackName(number);
  clean_ = false;
  absl::StatusOr<std::shared_ptr<const OpenPack>> pack = packs_.Open(number);
  if (!pack.ok()) return pack.status();
  absl::StatusOr<uint64_t> size = (*pack)->file->Size();
  if (!size.ok()) return size.status();
  absl::StatusOr<PackHeader> behind = HeaderBehind(number, next);
  if (!behind.ok()) return behind.status();
  // What was in a missing pack before this one.
  if (damaged_) PassDamage((*pack)->header.previous_end);

  Uuid uuid = (*pack)->header.uuid;
  if (uuid == kUnknown) uuid = number == position_.pack ? position_.uuid : behind->previous_uuid;
  if (!(*pack)->damage.ok()) {
    Log(LogLevel::kError, absl::StrCat("pack ", name, ": ", (*pack)->damage.message(),
                                       uuid == kUnknown ? "; its records can't be told from what "
                                                          "looks like records: it is left out"
                                                        : "; its records count all the same"));
  }
  if (number != position_.pack) {
    if (absl::Status begun = BeginPack(**pack, uuid); !begun.ok()) return begun;
  }
  if (uuid == kUnknown) {
    if (*size > position_.offset) PassDamage(*size - position_.offset);
    position_.offset = std::max(position_.offset, *size);
    return absl::OkStatus();
  }

  const bool end_known = behind->previous_uuid == uuid;
  const uint64_t seen = number == seen_.pack ? seen_.offset : 0;
  const uint64_t end = end_known ? behind->previous_end : std::max({*size, position_.offset, seen});
  if (*size < end) {
    Log(LogLevel::kError,
        absl::StrCat("pack ", name, " has ", *size, " bytes, it had ", end, ": objects are hurt"));
  }
  clean_ = next == 0 && (*pack)->damage.ok() && *size >= end;
  if (const uint64_t there = std::min(*size, end); position_.offset < there) {
    uint64_t bound = there;  // what was sealed was durable
    if (next == 0) {
      const uint64_t from = std::max(position_.offset, seen);
      absl::StatusOr<uint64_t> found = DurableBound(*(*pack)->file, from, there);
      if (!found.ok()) return found.status();
      bound = std::max(from, *found);
      absl::Status durable = MakeDurable(*(*pack)->file, bound, there);
      if (!durable.ok()) return durable;
    }
    absl::Status replayed = ReplayRecords(*(*pack)->file, there, bound);
    if (!replayed.ok()) return replayed;
  }
  if (next != 0 && position_.offset < end) PassDamage(end - position_.offset);
  return absl::OkStatus();
}

// What the header of the next pack there is says of this one: UUID and end, if it is good and of
// the pack that followed this one.
absl::StatusOr<PackHeader> Replayer::HeaderBehind(uint32_t number, uint32_t next) {
  if (next != number + 1) return PackHeader{};
  absl::StatusOr<std::shared_ptr<const OpenPack>> successor = packs_.Open(next);
  if (!successor.ok()) return successor.status();
  return (*successor)->header;
}

// Goes to the first record of a pack.
absl::Status Replayer::BeginPack(const OpenPack& pack, const Uuid& uuid) {
  position_.pack = pack.header.number;
  position_.uuid = uuid;
  position_.offset = kPackHeaderSize;
  position_.chain = Digest();
  if (pack.damage.ok()) {
    std::string header(kPackHeaderSize, '\0');
    if (absl::Status read = pack.file->Read(0, header); !read.ok()) return read;
    position_.chain = StartChain(header);
  }
  state_.SetPack({position_.pack, uuid});
  return absl::OkStatus();
}

// Replays the rest of a pack. Damage at or behind `bound` is a tail.
absl::Status Replayer::ReplayRecords(const File& file, uint64_t end, uint64_t bound) {
  const std::string name = PackName(position_.pack);
  PackScanner scanner(file, position_.uuid, position_.offset, end, position_.chain);
  for (;;) {
    absl::StatusOr<Scanned> next = scanner.Next();
    if (!next.ok()) return next.status();
    if (next->kind == Scanned::Kind::kEnd) return absl::OkStatus();
    const bool damage = next->kind == Scanned::Kind::kDamage;
    if (damage) clean_ = false;
    if (damage && next->offset >= bound) {
      abandoned_ = end - next->offset;
      Log(LogLevel::kWarning,
          absl::StrCat("pack ", name, " ends at offset ", next->offset, ", the ", abandoned_,
                       " bytes after that are abandoned (an unfinished write; if it is damage, it "
                       "may have been acknowledged): ",
                       next->damage));
      return absl::OkStatus();
    }
    if (!next->damage.empty()) {
      Log(LogLevel::kError, absl::StrCat("pack ", name, " is damaged from offset ", next->offset,
                                         " to ", next->end, ": ", next->damage));
    }
    if (next->header) PassHeader(next->header->sequence);
    if (damage) {
      if (next->header && MayGiveVersion(next->header->type)) Lose(1);
      PassDamage(next->end - next->offset);
    } else if (absl::Status status = ApplyRecord(*next); !status.ok()) {
      return status;
    }
    position_.offset = next->end;
    position_.chain = scanner.chain();
    // A gap has to be seen as a whole.
    if (state_.size() >= kBatch && !damaged_) {
      state_.SetWatermark(position_);
      if (absl::Status written = state_.Write(); !written.ok()) return written;
    }
  }
}

// Up to where the last pack is known to have been durable, by the barriers from `from` on.
absl::StatusOr<uint64_t> Replayer::DurableBound(const File& file, uint64_t from,
                                                uint64_t end) const {
  uint64_t bound = 0;
  PackScanner scanner(file, position_.uuid, from, end, Digest());
  for (;;) {
    absl::StatusOr<Scanned> next = scanner.Next();
    if (!next.ok()) return next.status();
    if (next->kind == Scanned::Kind::kEnd) return bound;
    if (next->kind != Scanned::Kind::kRecord || next->header->type != RecordType::kBarrier) {
      continue;
    }
    absl::StatusOr<Barrier> barrier = DecodeBarrier(next->payload);
    if (barrier.ok()) bound = std::max(bound, barrier->durable);
  }
}

absl::Status Replayer::ApplyRecord(const Scanned& record) {
  const RecordHeader& header = *record.header;
  const Location location{.pack = position_.pack, .offset = record.offset, .length = header.length};
  if (!IsKnown(header.type)) {
    if (!header.critical) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("the record at ", Describe(location), " is of ", Name(header.type),
                     ", which this program does not know and may not pass over"));
  }
  if (header.type != RecordType::kBarrier) news_ = true;
  absl::Status applied =
      Apply({header.type, header.payload, location, header.sequence}, record.payload, state_);
  if (absl::IsFailedPrecondition(applied)) {
    return absl::FailedPreconditionError(
        absl::StrCat(Name(header.type), " at ", Describe(location), ": ", applied.message()));
  }
  if (absl::IsDataLoss(applied)) {
    Log(LogLevel::kError, absl::StrCat(Name(header.type), " at ", Describe(location),
                                       " is left out: ", applied.message()));
    if (MayGiveVersion(header.type)) Lose(1);
    return absl::OkStatus();
  }
  return applied;
}

// Notes a genuine header: it ends damage, and tells how much was in it.
void Replayer::PassHeader(uint64_t sequence) {
  if (damaged_ && sequence > position_.next_sequence) {
    const uint64_t gap = sequence - position_.next_sequence;
    position_.next_sequence = sequence;
    Lose(gap);
  }
  damaged_ = false;
  damaged_bytes_ = 0;
  position_.next_sequence = std::max(position_.next_sequence, sequence + 1);
}

void Replayer::PassDamage(uint64_t bytes) {
  damaged_ = true;
  damaged_bytes_ += bytes;
}

// Notes that so many records were lost right before the next sequence number.
void Replayer::Lose(uint64_t records) {
  lost_ += records;
  state_.SetLost(position_.next_sequence, lost_);
}

// Sees to it that what is about to show lasts, whoever wrote it. It is written once more, as it is:
// after a sync that failed, Linux takes pages for clean that never got to the disk.
absl::Status Replayer::MakeDurable(const File& file, uint64_t from, uint64_t end) {
  if (from >= end) return absl::OkStatus();
  constexpr uint64_t kBlock = uint64_t{1} << 20;
  absl::StatusOr<std::unique_ptr<File>> writable = env_.OpenForWriting(Path(position_.pack));
  if (!writable.ok()) return writable.status();
  for (; from < end; from += kBlock) {
    std::string block(std::min(kBlock, end - from), '\0');
    if (absl::Status read = file.Read(from, block); !read.ok()) return read;
    if (absl::Status written = (*writable)->Write(from, {{block}}); !written.ok()) return written;
  }
  return (*writable)->Sync();
}

// Writes the index, and tells where to go on writing.
absl::StatusOr<PackWriter::Start> Replayer::Finish(uint32_t next_pack) {
  // No sequence number that was lost is used again, be it with damage that nothing follows or with
  // a tail; but nothing in a tail was a version.
  if (const uint64_t records = MostRecords(damaged_bytes_); damaged_ && records > 0) {
    position_.next_sequence += records;
    Lose(records);
  }
  position_.next_sequence += MostRecords(abandoned_);
  // The index had seen more than is there.
  if (const uint64_t next = seen_.next_sequence; next > position_.next_sequence) {
    const uint64_t gone = next - position_.next_sequence;
    position_.next_sequence = next;
    if (damaged_) Lose(gone);
  }
  state_.SetWatermark(position_);
  if (absl::Status written = state_.Write(); !written.ok()) return written;
  if (absl::Status durable = index_.Checkpoint(); !durable.ok()) return durable;

  PackWriter::Start start;
  start.next_pack = next_pack;
  start.position = position_;
  if (!clean_) {
    start.previous_uuid = position_.uuid;
    start.previous_end = position_.offset;
    return start;
  }
  absl::StatusOr<std::unique_ptr<File>> file = env_.OpenForWriting(Path(position_.pack));
  if (!file.ok()) return file.status();
  start.file = *std::move(file);
  start.in_barrier = !news_;
  if (absl::Status collected = CollectDecoders(); !collected.ok()) return collected;
  start.decoders = std::move(decoders_);
  return start;
}

// The decoders that the pack to be continued has already. To miss one costs a second copy only; one
// that is damaged is not to be relied on.
absl::Status Replayer::CollectDecoders() {
  for (const decoders::Builtin& builtin : decoders::Builtins()) {
    const Digest digest = Digest::Of(builtin.elf);
    absl::StatusOr<std::vector<Location>> copies = index_.Copies(digest);
    if (!copies.ok()) return copies.status();
    for (const Location& copy : *copies) {
      if (copy.pack == position_.pack && packs_.Read(copy, RecordType::kDecoder, digest).ok()) {
        decoders_[digest] = copy;
      }
    }
  }
  return absl::OkStatus();
}

std::string Replayer::Path(uint32_t number) const {
  return absl::StrCat(packs_.directory(), "/", PackName(number));
}

}  // namespace

absl::StatusOr<PackWriter::Start> Replay(Env& env, PackFiles& packs, Index& index,
                                         const Position& durable) {
  return Replayer(env, packs, index, durable).Run();
}

}  // namespace vxa
