#include "archive/pack_writer.h"

#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "archive/errors.h"
#include "archive/log.h"

namespace vxa {
namespace {

Uuid RandomUuid() {
  Uuid uuid;
  if (RAND_bytes(uuid.data(), static_cast<int>(uuid.size())) != 1) abort();
  return uuid;
}

Digest HashOf(const std::vector<std::string_view>& pieces) {
  Hasher hasher;
  for (std::string_view piece : pieces) hasher.Update(piece);
  return hasher.Finish();
}

uint64_t SizeOf(const std::vector<std::string_view>& pieces) {
  uint64_t size = 0;
  for (std::string_view piece : pieces) size += piece.size();
  return size;
}

}  // namespace

PackWriter::PackWriter(Env& env, std::string directory, uint64_t pack_size, Start start)
    : env_(env),
      directory_(std::move(directory)),
      pack_size_(pack_size),
      file_(std::move(start.file)),
      end_(start.position),
      durable_(start.position),
      in_barrier_(start.in_barrier ? start.position.offset : 0),
      durable_since_(absl::Now()),
      decoders_(std::move(start.decoders)),
      previous_uuid_(start.previous_uuid),
      previous_end_(start.previous_end),
      next_pack_(start.next_pack) {}

void PackWriter::RecordEnd() {
  std::lock_guard lock(mutex_);
  if (file_ != nullptr || previous_end_ == 0) return;
  if (absl::Status begun = BeginPack(); !begun.ok()) {
    Log(LogLevel::kWarning, absl::StrCat("no new pack yet: ", begun.message()));
  }
}

absl::StatusOr<PackWriter::Appended> PackWriter::Append(const NewRecord& record) {
  const uint64_t length = SizeOf(record.pieces);
  if (length > kMaxPayload) {
    return Error(Reason::kLimitExceeded,
                 absl::StrCat("a ", Name(record.type), " record of ", length, " bytes is over the ",
                              kMaxPayload, " that a record may have"));
  }
  const Digest payload = HashOf(record.pieces);
  uint64_t size = RecordSize(length);
  for (const DecoderImage& decoder : record.decoders) size += RecordSize(decoder.elf.size());
  if (absl::Status space = CheckSpace(size, record.purpose); !space.ok()) return space;

  std::unique_lock lock(mutex_);
  if (absl::Status room = MakeRoom(size, lock); !room.ok()) return room;
  for (const Location& part : record.parts) {
    if (!Intact(part)) {
      return Error(Reason::kStoreFailed, absl::StrCat("what was written at ", Describe(part),
                                                      " was lost in a failed write"));
    }
  }
  Appended appended;
  for (const DecoderImage& decoder : record.decoders) {
    absl::StatusOr<Location> location = PlaceDecoder(decoder);
    if (!location.ok()) return location.status();
    appended.decoders.push_back(*location);
  }
  absl::StatusOr<Location> location = AppendRecord(record.type, payload, record.pieces);
  if (!location.ok()) return location.status();
  appended.record = *location;
  appended.sequence = end_.next_sequence - 1;
  return appended;
}

absl::StatusOr<Location> PackWriter::AppendDecoder(const DecoderImage& decoder) {
  const uint64_t size = RecordSize(decoder.elf.size());
  if (absl::Status space = CheckSpace(size, Purpose::kPut); !space.ok()) return space;
  std::unique_lock lock(mutex_);
  if (absl::Status room = MakeRoom(size, lock); !room.ok()) return room;
  return PlaceDecoder(decoder);
}

absl::Status PackWriter::CheckSpace(uint64_t size, Purpose purpose) const {
  if (purpose == Purpose::kDelete) return absl::OkStatus();
  absl::StatusOr<uint64_t> free = env_.FreeSpace(directory_);
  if (!free.ok()) return free.status();
  if (*free >= size + kHeldBack) return absl::OkStatus();
  return Error(Reason::kDiskFull,
               absl::StrCat("no space for ", size, " bytes in ", directory_, ": ", *free,
                            " are free and ", kHeldBack, " are held back for deletes"));
}

absl::StatusOr<Location> PackWriter::PlaceDecoder(const DecoderImage& decoder) {
  if (auto known = decoders_.find(decoder.digest); known != decoders_.end()) return known->second;
  absl::StatusOr<Location> location =
      AppendRecord(RecordType::kDecoder, decoder.digest, {decoder.elf});
  if (location.ok()) decoders_.emplace(decoder.digest, *location);
  return location;
}

// Sees to it that there is a pack, and seals a full one (one that is empty is never full). The
// first record after a sync is a barrier.
absl::Status PackWriter::MakeRoom(uint64_t size, std::unique_lock<std::mutex>& lock) {
  while (file_ != nullptr && end_.offset + size > pack_size_ && end_.offset > kPackHeaderSize) {
    if (syncing_) {  // an error of the descriptor is told to one of two callers only
      sync_ended_.wait(lock, [this] { return !syncing_; });
      continue;
    }
    if (absl::Status synced = file_->Sync(); !synced.ok()) {
      Abandon(synced.message());
      return synced;
    }
    previous_uuid_ = end_.uuid;
    previous_end_ = end_.offset;
    file_ = nullptr;
  }
  if (file_ == nullptr) return BeginPack();
  return durable_.offset > in_barrier_ ? AppendBarrier() : absl::OkStatus();
}

absl::Status PackWriter::BeginPack() {
  const PackHeader header{.number = next_pack_,
                          .uuid = RandomUuid(),
                          .created = absl::ToUnixMicros(absl::Now()),
                          .previous_uuid = previous_uuid_,
                          .previous_end = previous_end_};
  const std::string bytes = EncodePackHeader(header);
  absl::StatusOr<std::unique_ptr<File>> file =
      WriteAtomically(env_, directory_, PackName(next_pack_), bytes);
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  end_.pack = next_pack_++;
  end_.uuid = header.uuid;
  end_.offset = in_barrier_ = kPackHeaderSize;
  end_.chain = StartChain(bytes);
  durable_ = end_;
  begun_.push_back({end_.pack, end_.uuid});
  decoders_.clear();
  return absl::OkStatus();
}

absl::Status PackWriter::AppendBarrier() {
  const std::string payload = EncodeBarrier({.durable = durable_.offset, .chain = end_.chain});
  absl::StatusOr<Location> location =
      AppendRecord(RecordType::kBarrier, Digest::Of(payload), {payload});
  if (!location.ok()) return location.status();
  in_barrier_ = durable_.offset;
  return absl::OkStatus();
}

absl::StatusOr<Location> PackWriter::AppendRecord(RecordType type, const Digest& payload,
                                                  const std::vector<std::string_view>& pieces) {
  static constexpr char kZeros[kRecordAlignment] = {};
  const auto length = static_cast<uint32_t>(SizeOf(pieces));
  const std::string header = EncodeRecordHeader({.type = type,
                                                 .critical = IsCritical(type),
                                                 .length = length,
                                                 .sequence = end_.next_sequence,
                                                 .offset = end_.offset,
                                                 .uuid = end_.uuid,
                                                 .payload = payload});
  const uint64_t size = RecordSize(length);
  std::vector<std::string_view> all = {header};
  all.insert(all.end(), pieces.begin(), pieces.end());
  all.emplace_back(kZeros, size - kRecordHeaderSize - length);
  if (absl::Status written = file_->Write(end_.offset, all); !written.ok()) {
    // Without space, the next record is written over what there is of this one.
    if (ReasonName(written) != "DISK_FULL") Abandon(written.message());
    return written;
  }
  const Location location{.pack = end_.pack, .offset = end_.offset, .length = length};
  if (type != RecordType::kBarrier) {
    unreported_.push_back({type, payload, location, end_.next_sequence});
  }
  end_.offset += size;
  end_.chain = ExtendChain(end_.chain, header);
  ++end_.next_sequence;
  return location;
}

absl::StatusOr<PackWriter::Synced> PackWriter::Sync() {
  std::shared_ptr<File> file;
  Position position;
  {
    std::lock_guard lock(mutex_);
    file = file_;
    position = end_;
    syncing_ = true;
  }
  absl::Status synced = file == nullptr ? absl::OkStatus() : file->Sync();
  std::lock_guard lock(mutex_);
  syncing_ = false;
  sync_ended_.notify_all();
  if (!synced.ok()) {
    if (file_ == file) Abandon(synced.message());
    return synced;
  }
  if (!Intact({.pack = position.pack, .offset = position.offset - 1})) {
    return Error(Reason::kStoreFailed, absl::StrCat("pack ", PackName(position.pack),
                                                    " was abandoned after a failed write"));
  }
  if (file != nullptr && file_ == file && position.offset > durable_.offset) {
    durable_ = position;
    durable_since_ = absl::Now();
  }
  Synced result{.position = position};
  auto later = std::find_if(unreported_.begin(), unreported_.end(), [&](const RecordRef& record) {
    return record.location.pack > position.pack ||
           (record.location.pack == position.pack && record.location.offset >= position.offset);
  });
  result.records.assign(unreported_.begin(), later);
  unreported_.erase(unreported_.begin(), later);
  result.packs = std::exchange(begun_, {});
  return result;
}

// Closes the pack for writing; what isn't durable in it doesn't count from now on, which the next
// pack has to say before anybody opens the archive anew.
void PackWriter::Abandon(absl::string_view why) {
  Log(LogLevel::kError,
      absl::StrCat("pack ", PackName(end_.pack), " is closed for writing, bytes ", durable_.offset,
                   " to ", end_.offset, " are abandoned: ", why));
  abandoned_[end_.pack] = {.from = durable_.offset, .why = std::string(why)};
  durable_.next_sequence = end_.next_sequence;
  end_ = durable_;
  previous_uuid_ = end_.uuid;
  previous_end_ = end_.offset;
  file_ = nullptr;
  std::erase_if(unreported_, [this](const RecordRef& record) { return !Intact(record.location); });
  if (absl::Status begun = BeginPack(); !begun.ok()) {
    Log(LogLevel::kError, absl::StrCat("no new pack yet: ", begun.message()));
  }
}

bool PackWriter::Intact(const Location& location) const {
  auto lost = abandoned_.find(location.pack);
  return lost == abandoned_.end() || location.offset < lost->second.from;
}

std::string PackWriter::WhyLost(const Location& location) const {
  std::lock_guard lock(mutex_);
  auto lost = abandoned_.find(location.pack);
  return lost == abandoned_.end() ? "" : lost->second.why;
}

bool PackWriter::IsIntact(const Location& location) const {
  std::lock_guard lock(mutex_);
  return Intact(location);
}

void PackWriter::WriteBarrierIfIdle(absl::Duration idle) {
  std::lock_guard lock(mutex_);
  if (file_ == nullptr || durable_.offset <= in_barrier_ || absl::Now() - durable_since_ < idle) {
    return;
  }
  if (absl::Status status = AppendBarrier(); !status.ok()) {
    Log(LogLevel::kWarning, absl::StrCat("no barrier written: ", status.message()));
  }
}

}  // namespace vxa
