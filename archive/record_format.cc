#include "archive/record_format.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "archive/crc32c.h"
#include "archive/text.h"

namespace vxa {
namespace {

constexpr uint8_t kCritical = 1;

template <typename T>
void Put(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i)));
  }
}

void Put(std::string& out, const Uuid& uuid) {
  out.append(reinterpret_cast<const char*>(uuid.data()), uuid.size());
}

void PutZeros(std::string& out, size_t count) { out.append(count, '\0'); }

// Takes fields one after another from bytes that are long enough.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}

  std::string_view Bytes(size_t count) {
    std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  template <typename T>
  T Take() {
    uint64_t value = 0;
    std::string_view raw = Bytes(sizeof(T));
    for (size_t i = 0; i < sizeof(T); ++i) {
      value |= uint64_t{static_cast<uint8_t>(raw[i])} << (8 * i);
    }
    return static_cast<T>(value);
  }
  Uuid TakeUuid() {
    Uuid uuid;
    std::ranges::copy(Bytes(uuid.size()), uuid.begin());
    return uuid;
  }

 private:
  std::string_view bytes_;
};

bool AllZero(std::string_view bytes) {
  return std::ranges::all_of(bytes, [](char c) { return c == '\0'; });
}

bool CrcMatches(std::string_view header) {
  std::string_view covered = header.substr(0, header.size() - 4);
  return Fields(header.substr(covered.size())).Take<uint32_t>() == Crc32c(covered);
}

}  // namespace

std::string Name(RecordType type) {
  switch (type) {
    case RecordType::kDecoder:
      return "decoder";
    case RecordType::kBlob:
      return "blob";
    case RecordType::kChunkList:
      return "chunk list";
    case RecordType::kManifest:
      return "manifest";
    case RecordType::kUpdate:
      return "update";
    case RecordType::kEvent:
      return "event";
    case RecordType::kBarrier:
      return "barrier";
  }
  return absl::StrCat("type ", static_cast<int>(type));
}

std::string Describe(const Location& location) {
  return absl::StrCat("pack ", PackName(location.pack), ", offset ", location.offset);
}

std::string PackName(uint32_t number) { return absl::StrFormat("%08d.vxp", number); }

uint32_t PackNumber(std::string_view name) {
  uint32_t number = 0;
  if (!absl::SimpleAtoi(Absl(name.substr(0, name.find('.'))), &number)) return 0;
  return PackName(number) == name ? number : 0;
}

std::string EncodePackHeader(const PackHeader& header) {
  std::string out(kPackMagic);
  Put(out, kFormatVersion);
  Put(out, header.number);
  Put(out, header.uuid);
  Put(out, header.created);
  Put(out, header.previous_uuid);
  Put(out, header.previous_end);
  PutZeros(out, kPackHeaderSize - 4 - out.size());
  Put(out, Crc32c(out));
  return out;
}

absl::StatusOr<PackHeader> DecodePackHeader(std::string_view bytes) {
  Fields fields(bytes);
  if (fields.Bytes(kPackMagic.size()) != kPackMagic) {
    return absl::DataLossError("the pack header's magic is wrong");
  }
  if (!CrcMatches(bytes)) return absl::DataLossError("the pack header's CRC-32C is wrong");
  if (auto version = fields.Take<uint32_t>(); version != kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("the pack is of format version ", version,
                                                      "; this program knows ", kFormatVersion));
  }
  PackHeader header;
  header.number = fields.Take<uint32_t>();
  header.uuid = fields.TakeUuid();
  header.created = fields.Take<int64_t>();
  header.previous_uuid = fields.TakeUuid();
  header.previous_end = fields.Take<uint64_t>();
  if (!AllZero(fields.Bytes(28))) {
    return absl::DataLossError("the pack header's reserved bytes are not zero");
  }
  return header;
}

std::string EncodeRecordHeader(const RecordHeader& header) {
  std::string out(kRecordMagic);
  Put(out, static_cast<uint8_t>(header.type));
  Put(out, static_cast<uint8_t>(header.critical ? kCritical : 0));
  Put(out, static_cast<uint8_t>(header.payload.algorithm));
  PutZeros(out, 1);
  Put(out, header.length);
  Put(out, header.sequence);
  Put(out, header.offset);
  Put(out, header.uuid);
  out += header.payload.raw();
  PutZeros(out, 4);
  Put(out, Crc32c(out));
  return out;
}

absl::StatusOr<RecordHeader> DecodeRecordHeader(std::string_view bytes, std::optional<Uuid> uuid,
                                                uint64_t offset) {
  Fields fields(bytes);
  if (fields.Bytes(kRecordMagic.size()) != kRecordMagic) {
    return absl::DataLossError("the record header's magic is wrong");
  }
  if (!CrcMatches(bytes)) return absl::DataLossError("the record header's CRC-32C is wrong");
  RecordHeader header;
  header.type = static_cast<RecordType>(fields.Take<uint8_t>());
  const auto flags = fields.Take<uint8_t>();
  header.critical = flags & kCritical;
  const auto algorithm = fields.Take<uint8_t>();
  const auto reserved = fields.Take<uint8_t>();
  header.length = fields.Take<uint32_t>();
  header.sequence = fields.Take<uint64_t>();
  header.offset = fields.Take<uint64_t>();
  header.uuid = fields.TakeUuid();
  auto payload = Digest::FromBytes(static_cast<HashAlgorithm>(algorithm), fields.Bytes(32));
  if (uuid && header.uuid != *uuid) return absl::DataLossError("the record is another pack's");
  if (header.offset != offset) {
    return absl::DataLossError(absl::StrCat("the record says it lies at ", header.offset));
  }
  if (!payload.ok()) return absl::DataLossError(payload.status().message());
  header.payload = *payload;
  if (header.length > kMaxPayload) {
    return absl::DataLossError(
        absl::StrCat("the payload's length is ", header.length, ", more than ", kMaxPayload));
  }
  if ((flags & ~kCritical) != 0 || reserved != 0 || !AllZero(fields.Bytes(4))) {
    return absl::DataLossError("the record header's reserved bits are not zero");
  }
  return header;
}

Digest StartChain(std::string_view pack_header) { return Digest::Of(pack_header); }

Digest ExtendChain(const Digest& chain, std::string_view record_header) {
  return Digest::Of(std::string(chain.raw()).append(record_header));
}

std::string EncodeBarrier(const Barrier& barrier) {
  std::string out;
  Put(out, barrier.durable);
  out += barrier.chain.raw();
  return out;
}

absl::StatusOr<Barrier> DecodeBarrier(std::string_view payload) {
  if (payload.size() != 40) {
    return absl::DataLossError(absl::StrCat("a barrier has 40 bytes, this one ", payload.size()));
  }
  Fields fields(payload);
  Barrier barrier;
  barrier.durable = fields.Take<uint64_t>();
  barrier.chain = *Digest::FromBytes(HashAlgorithm::kSha256, fields.Bytes(32));
  return barrier;
}

}  // namespace vxa
