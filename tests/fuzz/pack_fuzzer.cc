// An archive of packs that nobody vouches for, opened, read, written to, and opened again.
//
// What there is to be had is what its digest says, or an error; a version that is new is no old
// one's; and opening it once more finds the same.
//
//   0    bit 0: what follows are whole packs, each from its magic to the next one's, and the CRCs
//   of
//        headers that look like some are put right. Else records, from which packs are made:
//   +0   type
//   +1   bit 0: critical; bit 1: another pack begins; bits 2, 3: header or payload damaged;
//        bits 4-7: sequence numbers left out
//   +2 2 length
//   +4.. payload. In it 31 bytes '@' and n stand for the digest of the n-th payload, and 31 bytes
//   '#'
//        and n for that of this payload's last n bytes. A barrier without a payload gets the right
//        one.
#include <google/protobuf/stubs/logging.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/crc32c.h"
#include "archive/directory.h"
#include "archive/log.h"
#include "archive/names.h"
#include "archive/record_format.h"
#include "tests/fuzz/archive_in_memory.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/input.h"

namespace vxa::fuzz {
namespace {

using testing::FaultEnv;
using Packs = std::vector<std::string>;

constexpr size_t kMostRecords = 64;

void PutCrc(std::string& bytes, size_t begin, size_t size) {
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(begin, size - 4));
  for (int n = 0; n < 4; ++n) bytes[begin + size - 4 + n] = static_cast<char>(crc >> (8 * n));
}

// --- Whole packs ---

Packs Split(std::string_view bytes) {
  Packs packs;
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.size(), bytes.find(kPackMagic, 1));
    packs.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(end);
  }
  return packs;
}

void Repair(std::string& pack) {
  if (pack.size() < kPackHeaderSize) return;
  PutCrc(pack, 0, kPackHeaderSize);
  for (size_t at = kPackHeaderSize; at + kRecordHeaderSize <= pack.size(); at += 8) {
    if (std::string_view(pack).substr(at, kRecordMagic.size()) == kRecordMagic) {
      PutCrc(pack, at, kRecordHeaderSize);
    }
  }
}

// --- Packs out of records ---

class Builder {
 public:
  Builder() { Begin(); }

  void Add(Input& input) {
    const uint8_t type = input.Byte(), flags = input.Byte();
    std::string payload(AsText(input.Bytes(input.Integer<uint16_t>())));
    if (flags & 2) Begin();
    std::string& pack = packs_.back();
    Substitute(payload);
    const auto record_type = static_cast<RecordType>(type % 10);
    if (record_type == RecordType::kBarrier && payload.empty()) {
      payload = EncodeBarrier({.durable = pack.size(), .chain = chain_});
    }
    sequence_ += 1 + (flags >> 4);
    const Digest digest = Digest::Of(payload);
    digests_.push_back(digest);
    std::string header = EncodeRecordHeader({.type = record_type,
                                             .critical = (flags & 1) != 0,
                                             .length = static_cast<uint32_t>(payload.size()),
                                             .sequence = sequence_,
                                             .offset = pack.size(),
                                             .uuid = uuid_,
                                             .payload = digest});
    chain_ = ExtendChain(chain_, header);
    if (flags & 4) header[20] ^= 1;
    if (flags & 8 && !payload.empty()) payload[payload.size() / 2] ^= 1;
    pack += header + payload;
    pack.resize((pack.size() + 7) / 8 * 8);
  }

  Packs Finish() { return std::move(packs_); }

 private:
  void Begin() {
    const Uuid previous = uuid_;
    uuid_.fill(static_cast<uint8_t>(packs_.size() + 1));
    const uint64_t end = packs_.empty() ? 0 : packs_.back().size();
    packs_.push_back(EncodePackHeader({.number = static_cast<uint32_t>(packs_.size() + 1),
                                       .uuid = uuid_,
                                       .previous_uuid = previous,
                                       .previous_end = end}));
    chain_ = StartChain(packs_.back());
  }

  void Substitute(std::string& payload) const {
    constexpr size_t kRun = 31;
    for (char mark : {'@', '#'}) {
      const std::string run(kRun, mark);
      for (size_t at = 0; (at = payload.find(run, at)) != std::string::npos; ++at) {
        if (at + kRun == payload.size()) break;
        const auto n = static_cast<uint8_t>(payload[at + kRun]);
        if (mark == '@' ? n >= digests_.size() : n > payload.size() - at - kRun - 1) continue;
        const Digest digest =
            mark == '@' ? digests_[n]
                        : Digest::Of(std::string_view(payload).substr(payload.size() - n));
        payload.replace(at, kRun + 1, digest.raw());
      }
    }
  }

  Packs packs_;
  Uuid uuid_{};
  uint64_t sequence_ = 0;
  Digest chain_;
  std::vector<Digest> digests_;
};

Packs PacksOf(Input& input) {
  if (input.Byte() & 1) {
    Packs packs = Split(AsText(input.Rest()));
    for (std::string& pack : packs) Repair(pack);
    return packs;
  }
  Builder builder;
  for (size_t n = 0; n < kMostRecords && !input.empty(); ++n) builder.Add(input);
  return builder.Finish();
}

// --- The archive ---

using Versions = std::map<std::pair<std::string, uint64_t>, std::string>;  // bytes, or the error

// What a verification says of one version.
class Verdict : public VerifySink {
 public:
  explicit Verdict(uint64_t version) : version_(version) {}
  absl::Status Progress(const std::string&, uint64_t, uint64_t) override {
    return absl::OkStatus();
  }
  absl::Status Verified(const VerifiedVersion& verified) override {
    if (verified.version == version_) status = verified.status;
    return absl::OkStatus();
  }

  absl::Status status;

 private:
  const uint64_t version_;
};

absl::StatusOr<std::string> Get(Archive& archive, const std::string& name, uint64_t version) {
  Collector collector;
  const absl::StatusOr<ReadResult> read =
      archive.Read({.name = name, .version = version}, collector, {});
  if (!read.ok()) return read.status();
  Check(collector.bytes.size() == collector.header.size, "a read of another length");
  Check(read->verified, "a whole read that isn't verified");
  if (Digest::Of(collector.bytes) != collector.header.digest) {
    // The chunks are right, but the whole isn't what the manifest says: verifications tell.
    Verdict verdict(version);
    const auto verified = archive.Verify({.names = {name}, .versions = true}, verdict, {});
    Check(!verified.ok() || !verdict.status.ok(), "other bytes than those of the digest");
  }
  return collector.bytes;
}

Versions ReadAll(Archive& archive) {
  Versions all;
  ListSpec spec{.page_size = 10, .versions = true};
  do {
    const absl::StatusOr<ListResult> page = archive.List(spec);
    if (!page.ok()) break;  // damage, of a manifest say
    for (const ObjectInfo& object : page->objects) {
      Check(CheckName(object.name).ok() && object.version != 0, "a name or version in a listing");
      const absl::StatusOr<std::string> bytes = Get(archive, object.name, object.version);
      const bool is_new =
          all.emplace(std::pair(object.name, object.version),
                      bytes.ok() ? *bytes : absl::StrCat("error ", bytes.status().raw_code()))
              .second;
      Check(is_new, "a version is listed twice");
      static_cast<void>(archive.Stat("default", object.name, object.version));
    }
    spec.page_token = page->next_page_token;
  } while (!spec.page_token.empty());
  return all;
}

// A new version of each name that there is, and of one more.
void PutAll(Archive& archive, Versions& versions) {
  std::map<std::string, uint64_t> highest = {{"new", 0}};
  for (const auto& [version, bytes] : versions) {
    highest[version.first] = std::max(highest[version.first], version.second);
  }
  for (const auto& [name, before] : highest) {
    const std::string bytes = "what was put to " + name;
    absl::StatusOr<std::unique_ptr<Upload>> upload =
        archive.Put({.name = name, .codec = "store"}, {});
    if (!upload.ok() || !(*upload)->Append(bytes).ok()) continue;
    const absl::StatusOr<PutResult> put = (*upload)->Finish(bytes.size(), Digest::Of(bytes));
    if (!put.ok()) continue;
    if (put->unchanged) continue;
    Check(put->object.version > before, "a version was given out before");
    versions[{name, put->object.version}] = bytes;
  }
}

void Try(const Packs& packs) {
  FaultEnv env;
  Check(env.MakeDirectory("/data").ok() && env.MakeDirectory("/data/packs").ok(), "no directory");
  testing::WriteFile(env, "/data/VERSION", kVersionLine);
  for (size_t n = 0; n < packs.size(); ++n) {
    testing::WriteFile(env, "/data/packs/" + PackName(static_cast<uint32_t>(n + 1)), packs[n]);
  }
  Versions versions;
  {
    const absl::StatusOr<std::unique_ptr<Archive>> archive = OpenIn(env);
    if (!archive.ok()) return;
    versions = ReadAll(**archive);
    PutAll(**archive, versions);
  }
  const absl::StatusOr<std::unique_ptr<Archive>> again = OpenIn(env);
  if (!again.ok()) Fail(absl::StrCat("not opened again: ", again.status().ToString()));
  for (const auto& [version, bytes] : versions) {
    const absl::StatusOr<std::string> now = Get(**again, version.first, version.second);
    if ((now.ok() ? *now : absl::StrCat("error ", now.status().raw_code())) != bytes) {
      Fail(absl::StrCat(version.first, "@", version.second, " was ", bytes, ", is now ",
                        now.ok() ? *now : now.status().ToString()));
    }
  }
}

}  // namespace
}  // namespace vxa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vxa::fuzz;
  google::protobuf::SetLogHandler(nullptr);
  const vxa::LogCapture quiet([](vxa::LogLevel, std::string_view) {});
  Input input(data, size);
  const Packs packs = PacksOf(input);
  Try(packs);
  return 0;
}
