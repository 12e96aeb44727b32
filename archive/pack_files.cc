#include "archive/pack_files.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "archive/errors.h"

namespace vxa {

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
  std::string bytes(kPackHeaderSize, '\0');
  absl::Status read = pack->file->Read(0, bytes);
  if (absl::IsOutOfRange(read)) {
    return absl::DataLossError(absl::StrCat("the pack header can't be read: ", read.message()));
  }
  if (!read.ok()) return read;
  absl::StatusOr<PackHeader> header = DecodePackHeader(bytes);
  if (!header.ok()) return header.status();
  if (header->number != number) {
    return absl::DataLossError(
        absl::StrCat("the pack header says that it is pack ", header->number));
  }
  pack->header = *header;
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
      std::string_view(bytes).substr(0, kRecordHeaderSize), (*pack)->header.uuid, location.offset);
  if (!header.ok()) return damaged(header.status().message());
  if (header->type != type || header->length != location.length || header->payload != payload) {
    return damaged("another record lies there");
  }
  bytes.erase(0, kRecordHeaderSize);
  if (Digest::Of(bytes) != payload) return damaged("the payload does not match its hash");
  return bytes;
}

}  // namespace vxa
