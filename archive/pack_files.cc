#include "archive/pack_files.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "archive/errors.h"

namespace vxa {

namespace {

// Fills `bytes` from `offset`. DATA_LOSS if the file is too short.
absl::Status ReadHeader(const File& file, uint64_t offset, std::string& bytes) {
  absl::Status read = file.Read(offset, bytes);
  return absl::IsOutOfRange(read) ? absl::DataLossError(read.message()) : read;
}

absl::StatusOr<PackHeader> ReadPackHeader(const File& file) {
  std::string bytes(kPackHeaderSize, '\0');
  if (absl::Status read = ReadHeader(file, 0, bytes); !read.ok()) return read;
  return DecodePackHeader(bytes);
}

// What the first record says: nothing that came from outside can lie in its place.
absl::StatusOr<Uuid> UuidOfFirstRecord(const File& file) {
  std::string bytes(kRecordHeaderSize, '\0');
  if (absl::Status read = ReadHeader(file, kPackHeaderSize, bytes); !read.ok()) return read;
  absl::StatusOr<RecordHeader> record = DecodeRecordHeader(bytes, std::nullopt, kPackHeaderSize);
  if (!record.ok()) return record.status();
  return record->uuid;
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> PackFiles::List() const {
  absl::StatusOr<std::vector<std::string>> names = env_.List(directory_);
  if (!names.ok()) return names.status();
  std::vector<uint32_t> numbers;
  for (const std::string& name : *names) {
    if (uint32_t number = PackNumber(name); number != 0) numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

absl::StatusOr<std::shared_ptr<const OpenPack>> PackFiles::Open(uint32_t number) {
  std::lock_guard lock(mutex_);
  auto found = std::ranges::find(open_, number, [](const auto& entry) { return entry.first; });
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
    return open_.front().second;
  }
  auto pack = std::make_shared<OpenPack>();
  absl::StatusOr<std::unique_ptr<File>> file =
      env_.OpenForReading(absl::StrCat(directory_, "/", PackName(number)));
  if (!file.ok()) return file.status();
  pack->file = *std::move(file);
  absl::StatusOr<PackHeader> header = ReadPackHeader(*pack->file);
  absl::StatusOr<Uuid> uuid = Uuid{};
  if (absl::IsDataLoss(header.status())) uuid = UuidOfFirstRecord(*pack->file);
  for (const absl::Status& status : {header.status(), uuid.status()}) {
    if (!status.ok() && !absl::IsDataLoss(status)) return status;
  }
  pack->header = {.number = number, .uuid = uuid.value_or(Uuid{})};
  pack->damage = header.status();
  if (header.ok() && header->number == number) {
    pack->header = *header;
  } else if (header.ok()) {  // another pack, whatever its records say
    pack->damage =
        absl::DataLossError(absl::StrCat("the pack header says that it is pack ", header->number));
  }
  open_.emplace_front(number, pack);
  if (open_.size() > kKeptOpen) open_.pop_back();
  return pack;
}

absl::StatusOr<std::string> PackFiles::Read(const Location& location, RecordType type,
                                            const Digest& payload) {
  const auto damaged = [&](absl::string_view what) {
    return Error(Reason::kDataDamaged,
                 absl::StrCat(Name(type), " at ", Describe(location), ": ", what));
  };
  if (location.length > kMaxPayload) return damaged("its length in the index is out of bounds");
  absl::StatusOr<std::shared_ptr<const OpenPack>> pack = Open(location.pack);
  if (!pack.ok()) return damaged(pack.status().message());
  std::string bytes(kRecordHeaderSize + location.length, '\0');
  if (absl::Status read = (*pack)->file->Read(location.offset, bytes); !read.ok()) {
    return damaged(read.message());
  }
  absl::StatusOr<RecordHeader> header = DecodeRecordHeader(
      std::string_view(bytes).substr(0, kRecordHeaderSize), std::nullopt, location.offset);
  if (!header.ok()) return damaged(header.status().message());
  if (header->type != type || header->length != location.length || header->payload != payload) {
    return damaged("another record lies there");
  }
  bytes.erase(0, kRecordHeaderSize);
  if (Digest::Of(bytes) != payload) return damaged("the payload does not match its hash");
  return bytes;
}

}  // namespace vxa
