#include "archive/replay.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
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

class Replayer {
 public:
  Replayer(Env& env, PackFiles& packs, Index& index, const Position& durable)
      : env_(env), packs_(packs), index_(index), state_(index), known_durable_(durable) {}

  absl::StatusOr<PackWriter::Start> Run();

 private:
  absl::Status ReplayPack(uint32_t number, uint32_t next);
  absl::StatusOr<uint64_t> EndBySuccessor(const PackHeader& header, uint32_t next);
  absl::StatusOr<uint64_t> DurableBound(const OpenPack& pack, uint64_t end);
  absl::StatusOr<Position> StartOf(const OpenPack& pack) const;
  absl::Status ReplayRecords(const OpenPack& pack, uint64_t end, uint64_t bound);
  absl::Status ApplyRecord(const OpenPack& pack, const Scanned& record);
  absl::Status CollectDecoders();

  Env& env_;
  PackFiles& packs_;
  Index& index_;
  IndexTransaction state_;
  const Position known_durable_;
  Position position_;       // up to where everything is in state_
  bool clean_ = false;      // whether writing can go on there
  uint64_t abandoned_ = 0;  // bytes behind it that don't count
  bool news_ = false;       // whether there were records that the index hadn't
  std::map<Digest, Location> decoders_;
};

absl::StatusOr<PackWriter::Start> Replayer::Run() {
  absl::StatusOr<Position> watermark = index_.Watermark();
  if (!watermark.ok()) return watermark.status();
  position_ = *watermark;
  absl::StatusOr<std::vector<uint32_t>> numbers = packs_.List();
  if (!numbers.ok()) return numbers.status();

  uint32_t expected = 1;
  for (size_t i = 0; i < numbers->size(); ++i) {
    const uint32_t number = (*numbers)[i];
    for (; expected < number; ++expected) {
      Log(LogLevel::kError, absl::StrCat("pack ", PackName(expected), " is missing"));
    }
    ++expected;
    if (number < position_.pack) continue;
    const uint32_t next = i + 1 < numbers->size() ? (*numbers)[i + 1] : 0;
    if (absl::Status status = ReplayPack(number, next); !status.ok()) return status;
  }
  if (position_.pack >= expected) {
    Log(LogLevel::kError, absl::StrCat("pack ", PackName(position_.pack), " is missing"));
    clean_ = false;
  }
  // No number that was lost with a tail is used again.
  position_.next_sequence += (abandoned_ + kRecordHeaderSize - 1) / kRecordHeaderSize;
  state_.SetWatermark(position_);
  if (absl::Status written = state_.Write(); !written.ok()) return written;

  PackWriter::Start start;
  start.next_pack = std::max(expected, position_.pack + 1);
  start.position = position_;
  if (clean_) {
    auto file =
        env_.OpenForWriting(absl::StrCat(packs_.directory(), "/", PackName(position_.pack)));
    if (!file.ok()) return file.status();
    start.file = *std::move(file);
    start.in_barrier = !news_;
    if (absl::Status collected = CollectDecoders(); !collected.ok()) return collected;
    start.decoders = std::move(decoders_);
  } else {
    start.previous_uuid = position_.uuid;
    start.previous_end = position_.offset;
  }
  return start;
}

absl::Status Replayer::ReplayPack(uint32_t number, uint32_t next) {
  clean_ = false;
  absl::StatusOr<std::shared_ptr<const OpenPack>> pack = packs_.Open(number);
  if (absl::IsFailedPrecondition(pack.status())) return pack.status();
  if (!pack.ok()) {
    Log(LogLevel::kError,
        absl::StrCat("pack ", PackName(number), " is left out: ", pack.status().message()));
    return absl::OkStatus();
  }
  if (number == position_.pack && (*pack)->header.uuid != position_.uuid) {
    return absl::AbortedError(
        absl::StrCat("the index is of another pack ", PackName(number), " than this one"));
  }
  absl::StatusOr<uint64_t> size = (*pack)->file->Size();
  if (!size.ok()) return size.status();
  absl::StatusOr<uint64_t> end = EndBySuccessor((*pack)->header, next);
  if (!end.ok()) return end.status();
  const bool sealed = next != 0;
  if (number != position_.pack) {
    absl::StatusOr<Position> start = StartOf(**pack);
    if (!start.ok()) return start.status();
    position_ = *start;
  }
  if (*size < std::min(*end, position_.offset)) {
    Log(LogLevel::kError, absl::StrCat("pack ", PackName(number), " has ", *size,
                                       " bytes, it had more: objects are hurt"));
  }
  *end = std::min(*end, *size);
  if (*end <= position_.offset) {
    clean_ = !sealed && *end == position_.offset;
  } else {
    // What is about to show has to last, whoever wrote it.
    if (!sealed) {
      auto writable = env_.OpenForWriting(absl::StrCat(packs_.directory(), "/", PackName(number)));
      if (!writable.ok()) return writable.status();
      if (absl::Status synced = (*writable)->Sync(); !synced.ok()) return synced;
    }
    absl::StatusOr<uint64_t> bound = sealed ? *end : DurableBound(**pack, *end);
    if (!bound.ok()) return bound.status();
    if (absl::Status status = ReplayRecords(**pack, *end, *bound); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Where the next pack says that this one ends; no bound if it doesn't say.
absl::StatusOr<uint64_t> Replayer::EndBySuccessor(const PackHeader& header, uint32_t next) {
  if (next == 0) return UINT64_MAX;
  absl::StatusOr<std::shared_ptr<const OpenPack>> successor = packs_.Open(next);
  if (absl::IsFailedPrecondition(successor.status())) return successor.status();
  if (!successor.ok() || (*successor)->header.previous_uuid != header.uuid) return UINT64_MAX;
  return (*successor)->header.previous_end;
}

// Up to where the last pack is known to have been durable.
absl::StatusOr<uint64_t> Replayer::DurableBound(const OpenPack& pack, uint64_t end) {
  uint64_t bound = position_.offset;
  if (pack.header.uuid == known_durable_.uuid) bound = std::max(bound, known_durable_.offset);
  PackScanner scanner(pack, position_.offset, end, position_.chain,
                      PackScanner::Payloads::kBarriersOnly);
  for (;;) {
    absl::StatusOr<Scanned> next = scanner.Next();
    if (!next.ok()) return next.status();
    if (next->kind == Scanned::Kind::kEnd) return bound;
    if (next->kind != Scanned::Kind::kRecord || next->header.type != RecordType::kBarrier) continue;
    absl::StatusOr<Barrier> barrier = DecodeBarrier(next->payload);
    if (barrier.ok() && barrier->durable <= next->offset) bound = std::max(bound, barrier->durable);
  }
}

absl::StatusOr<Position> Replayer::StartOf(const OpenPack& pack) const {
  std::string header(kPackHeaderSize, '\0');
  if (absl::Status read = pack.file->Read(0, header); !read.ok()) return read;
  return Position{.pack = pack.header.number,
                  .uuid = pack.header.uuid,
                  .offset = kPackHeaderSize,
                  .chain = StartChain(header),
                  .next_sequence = position_.next_sequence};
}

absl::Status Replayer::ReplayRecords(const OpenPack& pack, uint64_t end, uint64_t bound) {
  const std::string name = PackName(pack.header.number);
  PackScanner scanner(pack, position_.offset, end, position_.chain, PackScanner::Payloads::kAll);
  clean_ = true;
  for (;;) {
    absl::StatusOr<Scanned> next = scanner.Next();
    if (!next.ok()) return next.status();
    if (next->kind == Scanned::Kind::kEnd) break;
    if (next->kind == Scanned::Kind::kDamage && next->offset >= bound) {
      abandoned_ = end - next->offset;
      Log(LogLevel::kWarning,
          absl::StrCat("pack ", name, " ends at offset ", next->offset, ", the ", abandoned_,
                       " bytes after that are abandoned (an unfinished write; if it is damage, it "
                       "may have been acknowledged): ",
                       next->damage));
      clean_ = false;
      break;
    }
    if (next->kind == Scanned::Kind::kDamage) {
      Log(LogLevel::kError, absl::StrCat("pack ", name, " is damaged from offset ", next->offset,
                                         " to ", next->end, ": ", next->damage));
      clean_ = next->end < end;
    } else {
      if (absl::Status status = ApplyRecord(pack, *next); !status.ok()) return status;
      position_.next_sequence = std::max(position_.next_sequence, next->header.sequence + 1);
    }
    position_.offset = next->end;
    position_.chain = scanner.chain();
    if (state_.size() >= kBatch) {
      state_.SetWatermark(position_);
      if (absl::Status written = state_.Write(); !written.ok()) return written;
    }
  }
  return absl::OkStatus();
}

absl::Status Replayer::ApplyRecord(const OpenPack& pack, const Scanned& record) {
  const RecordHeader& header = record.header;
  const Location location{
      .pack = pack.header.number, .offset = record.offset, .length = header.length};
  if (!IsKnown(header.type)) {
    if (!header.critical) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("the record at ", Describe(location), " is of ", Name(header.type),
                     ", which this program does not know and may not pass over"));
  }
  if (header.type != RecordType::kBarrier) news_ = true;
  absl::Status applied = Apply({header.type, header.payload, location}, record.payload, state_);
  if (absl::IsFailedPrecondition(applied)) {
    return absl::FailedPreconditionError(
        absl::StrCat(Name(header.type), " at ", Describe(location), ": ", applied.message()));
  }
  if (absl::IsDataLoss(applied)) {
    Log(LogLevel::kError, absl::StrCat(Name(header.type), " at ", Describe(location),
                                       " is left out: ", applied.message()));
    return absl::OkStatus();
  }
  return applied;
}

// The decoders that the pack to be continued has already. To miss one costs a second copy only.
absl::Status Replayer::CollectDecoders() {
  for (const decoders::Builtin& builtin : decoders::Builtins()) {
    const Digest digest = Digest::Of(builtin.elf);
    absl::StatusOr<std::vector<Location>> copies = index_.Copies(digest);
    if (!copies.ok()) return copies.status();
    for (const Location& copy : *copies) {
      if (copy.pack == position_.pack) decoders_[digest] = copy;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PackWriter::Start> Replay(Env& env, PackFiles& packs, Index& index,
                                         const Position& durable) {
  return Replayer(env, packs, index, durable).Run();
}

}  // namespace vxa
