#include "archive/pack_check.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/blob.h"
#include "archive/fold.h"
#include "archive/pack_scanner.h"
#include "archive/text.h"

namespace vxa {
namespace {

using archive::v1::Event;
using archive::v1::Manifest;
using archive::v1::Update;

// What the loss of a record of this type means.
std::string_view LossOf(RecordType type) {
  switch (type) {
    case RecordType::kDecoder:
      return "what needs this decoder and has no other copy is named below";
    case RecordType::kBlob:
      return "the versions that need this chunk are named below; if none is, none does";
    case RecordType::kChunkList:
      return "the version whose chunks it lists is named below; if none is, none needs it";
    case RecordType::kManifest:
      return "the version that it made is named below if the index still knows it";
    case RecordType::kUpdate:
      return "a delete or a removal is undone by that unless the index still knows it";
    case RecordType::kEvent:
      return "a verification, registration or ruling is forgotten; no object is hurt";
    case RecordType::kBarrier:
      return "no object is hurt";
  }
  return "this program doesn't know what it meant";
}

constexpr Uuid kNone{};

std::string At(uint32_t pack, uint64_t offset) {
  return absl::StrCat(PackName(pack), ", offset ", offset);
}

class PackChecker {
 public:
  PackChecker(PackFiles& packs, const PackKnowledge& known, CheckReport& report)
      : packs_(packs), known_(known), report_(report), state_(known.fresh) {}

  absl::Status Run();

 private:
  void Missing(uint32_t number);
  absl::Status CheckPack(uint32_t number, uint32_t next);
  absl::Status FindUuid(const OpenPack& pack);
  void CheckSuccession(const PackHeader& header, uint32_t number);
  absl::StatusOr<uint64_t> CheckEnd(const OpenPack& pack, uint32_t next);
  absl::StatusOr<Digest> CheckRecords(const OpenPack& pack, uint64_t end);
  absl::Status TellAbandoned(const OpenPack& pack, uint64_t end, const Digest& chain, uint64_t size,
                             bool sealed);
  void TellDamage(const Scanned& damage);

  // These check a record whose bytes are right.
  absl::Status CheckRecord(const Scanned& record);
  absl::Status CheckMeaning(const Scanned& record, const RecordRef& ref);
  absl::Status CheckBlob(const Scanned& record);
  absl::Status CheckManifest(const Scanned& record, const RecordRef& ref);
  absl::Status CheckUpdate(const Scanned& record, const RecordRef& ref);
  absl::Status CheckEvent(const Scanned& record);
  absl::Status CheckOnlyOne(const RecordRef& ref, const std::string& ns, const std::string& name,
                            uint64_t version);
  absl::Status CheckDecoder(const archive::v1::Digest& decoder, const Scanned& record);
  void CheckBarrier(const Scanned& record);
  void Unreadable(const absl::Status& status, const Scanned& record);

  std::string Here(const Scanned& record) const { return At(pack_, record.offset); }

  PackFiles& packs_;
  const PackKnowledge& known_;
  CheckReport& report_;
  IndexTransaction state_;              // to try records on; never written
  absl::Status later_;                  // the first thing that only a later program may read
  uint32_t pack_ = 0;                   // the one that is read
  Uuid uuid_{};                         // its
  std::optional<PackHeader> previous_;  // of the pack before, if that is there
  uint64_t last_sequence_ = 0;
  std::set<Digest> decoders_;   // in this pack so far
  std::set<Digest> strangers_;  // missing there, and told
};

absl::Status PackChecker::Run() {
  absl::StatusOr<std::vector<uint32_t>> numbers = packs_.List();
  if (!numbers.ok()) return numbers.status();
  uint32_t expected = 1;
  for (size_t i = 0; i < numbers->size(); ++i) {
    const uint32_t number = (*numbers)[i];
    while (expected < number) Missing(expected++);
    ++expected;
    const uint32_t next = i + 1 < numbers->size() ? (*numbers)[i + 1] : 0;
    if (absl::Status status = CheckPack(number, next); !status.ok()) return status;
  }
  while (expected <= known_.seen.pack) Missing(expected++);
  return later_;
}

void PackChecker::Missing(uint32_t number) {
  report_.NeedsCopyOf(number);
  previous_.reset();
  report_.Damage(PackName(number),
                 "the pack is missing; the versions that need it are named below, those that it "
                 "made itself as far as the index still knows them");
}

absl::Status PackChecker::CheckPack(uint32_t number, uint32_t next) {
  pack_ = number;
  decoders_.clear();
  strangers_.clear();
  ++report_.summary.packs;
  absl::StatusOr<std::shared_ptr<const OpenPack>> pack = packs_.Open(number);
  if (absl::IsFailedPrecondition(pack.status())) {
    later_.Update(absl::FailedPreconditionError(
        absl::StrCat("pack ", PackName(number), ": ", pack.status().message())));
    return absl::OkStatus();
  }
  if (!pack.ok()) return pack.status();
  absl::StatusOr<uint64_t> size = (*pack)->file->Size();
  if (!size.ok()) return size.status();
  report_.summary.pack_bytes += *size;
  if (absl::Status told = FindUuid(**pack); !told.ok()) return told;
  if (uuid_ == kNone) {
    previous_.reset();
    return absl::OkStatus();
  }
  CheckSuccession((*pack)->header, number);
  previous_ = (*pack)->header;
  previous_->uuid = uuid_;
  absl::StatusOr<uint64_t> end = CheckEnd(**pack, next);
  if (!end.ok()) return end.status();
  absl::StatusOr<Digest> chain = CheckRecords(**pack, *end);
  if (!chain.ok()) return chain.status();
  return TellAbandoned(**pack, *end, *chain, *size, next != 0);
}

// The pack's UUID, which the replay may know where the header is damaged; tells of that.
absl::Status PackChecker::FindUuid(const OpenPack& pack) {
  uuid_ = pack.header.uuid;
  if (pack.damage.ok()) return absl::OkStatus();
  absl::StatusOr<std::optional<Uuid>> replayed = known_.fresh.PackUuid(pack.header.number);
  if (!replayed.ok()) return replayed.status();
  if (uuid_ == kNone) uuid_ = replayed->value_or(kNone);
  report_.NeedsCopyOf(pack.header.number);
  report_.Damage(PackName(pack.header.number),
                 absl::StrCat(pack.damage.message(),
                              uuid_ == kNone ? ", so that none of its records can be told from "
                                               "what only looks like one; the versions that "
                                               "need it are named below"
                                             : "; its records count all the same"));
  return absl::OkStatus();
}

void PackChecker::CheckSuccession(const PackHeader& header, uint32_t number) {
  if (!previous_ || previous_->number + 1 != number || header.previous_uuid == kNone) return;
  if (header.previous_uuid == previous_->uuid) return;
  report_.NeedsCopyOf(previous_->number);
  report_.Damage(
      PackName(number),
      absl::StrCat("it was begun behind another pack than the ", PackName(previous_->number),
                   " that is here: one of the two is of another archive, or older"));
}

// Up to where the pack counts; tells if the file ends before that.
absl::StatusOr<uint64_t> PackChecker::CheckEnd(const OpenPack& pack, uint32_t next) {
  absl::StatusOr<uint64_t> size = pack.file->Size();
  if (!size.ok()) return size;
  uint64_t end = *size, had = 0;
  if (next != 0) {
    absl::StatusOr<std::shared_ptr<const OpenPack>> successor = packs_.Open(next);
    if (successor.ok() && (*successor)->header.previous_uuid == uuid_) {
      end = had = (*successor)->header.previous_end;
    }
  } else if (known_.end.pack == pack.header.number && known_.end.uuid == uuid_) {
    end = known_.end.offset;
  }
  if (known_.seen.pack == pack.header.number && known_.seen.uuid == uuid_) {
    had = std::max(had, known_.seen.offset);
  }
  if (*size < had) {
    report_.NeedsCopyOf(pack.header.number);
    report_.Damage(PackName(pack.header.number),
                   absl::StrCat("the file is cut: it has ", *size, " bytes, it had at least ", had,
                                "; the versions that this hurts are named below"));
  }
  return std::min(end, *size);
}

// The running hash at the end.
absl::StatusOr<Digest> PackChecker::CheckRecords(const OpenPack& pack, uint64_t end) {
  std::string header(kPackHeaderSize, '\0');
  if (pack.damage.ok()) {
    if (absl::Status read = pack.file->Read(0, header); !read.ok()) return read;
  }
  const Digest chain = pack.damage.ok() ? StartChain(header) : Digest();
  PackScanner scanner(*pack.file, uuid_, std::min(kPackHeaderSize, end), end, chain);
  for (;;) {
    absl::StatusOr<Scanned> next = scanner.Next();
    if (!next.ok()) return next.status();
    absl::Status status;
    switch (next->kind) {
      case Scanned::Kind::kEnd:
        return scanner.chain();
      case Scanned::Kind::kDamage:
        TellDamage(*next);
        break;
      case Scanned::Kind::kRecord:
        status = CheckRecord(*next);
        break;
    }
    if (!status.ok()) return status;
  }
}

// Tells of what doesn't count any more: the tail of a crash.
absl::Status PackChecker::TellAbandoned(const OpenPack& pack, uint64_t end, const Digest& chain,
                                        uint64_t size, bool sealed) {
  if (size <= end) return absl::OkStatus();
  PackScanner scanner(*pack.file, uuid_, end, size, chain);
  absl::StatusOr<Scanned> first = scanner.Next();
  if (!first.ok()) return first.status();
  std::string why = first->damage.empty() ? "" : absl::StrCat(" (", first->damage, ")");
  report_.Note(At(pack.header.number, end),
               absl::StrCat("the last ", size - end,
                            " bytes don't count: a write that a crash or "
                            "an error cut short",
                            why, ". ",
                            sealed ? "Harmless: none of it was acknowledged"
                                   : "Harmless, unless the disk has damaged what was written last "
                                     "of all; the next start goes on in a new pack"));
  return absl::OkStatus();
}

void PackChecker::TellDamage(const Scanned& damage) {
  report_.NeedsCopyOf(pack_);
  std::string text = absl::StrCat("damaged up to offset ", damage.end, ": ", damage.damage);
  if (damage.header) {
    absl::StrAppend(&text, ". It is ", damage.header->payload.ToString(), ": ",
                    Absl(LossOf(damage.header->type)));
  } else {
    absl::StrAppend(&text, ". What lay there can't be told from it; what is hurt is named below");
  }
  report_.Damage(Here(damage), std::move(text));
}

absl::Status PackChecker::CheckRecord(const Scanned& record) {
  const RecordHeader& header = *record.header;
  ++report_.summary.records;
  if (!record.damage.empty()) report_.Warn(Here(record), record.damage);
  if (header.sequence <= last_sequence_) {
    report_.Damage(Here(record), absl::StrCat("the sequence number ", header.sequence, " of a ",
                                              Name(header.type), " record is not behind ",
                                              last_sequence_, ", the one before it"));
  }
  last_sequence_ = std::max(last_sequence_, header.sequence);
  if (!IsKnown(header.type)) {
    const std::string text =
        absl::StrCat("the record is of ", Name(header.type), ", which this program does not know");
    if (header.critical) {
      later_.Update(absl::FailedPreconditionError(
          absl::StrCat(Here(record), ": ", text, " and may not pass over")));
    } else {
      report_.Note(Here(record), absl::StrCat(text, "; it may pass over it"));
    }
    return absl::OkStatus();
  }
  const RecordRef ref{
      header.type,
      header.payload,
      {.pack = pack_, .offset = record.offset, .length = header.length},
  };
  return CheckMeaning(record, ref);
}

absl::Status PackChecker::CheckMeaning(const Scanned& record, const RecordRef& ref) {
  // What replay would say of it.
  absl::Status applied = Apply(ref, record.payload, state_);
  state_.Clear();
  if (absl::IsFailedPrecondition(applied) || absl::IsDataLoss(applied)) {
    Unreadable(applied, record);
    return absl::OkStatus();
  }
  if (!applied.ok()) return applied;
  switch (ref.type) {
    case RecordType::kDecoder:
      decoders_.insert(ref.payload);
      return absl::OkStatus();
    case RecordType::kBlob:
      return CheckBlob(record);
    case RecordType::kChunkList:
      Unreadable(ParseChunkList(record.payload).status(), record);
      return absl::OkStatus();
    case RecordType::kManifest:
      return CheckManifest(record, ref);
    case RecordType::kUpdate:
      return CheckUpdate(record, ref);
    case RecordType::kEvent:
      return CheckEvent(record);
    case RecordType::kBarrier:
      CheckBarrier(record);
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

// Tells of a record whose bytes are right and make no sense, if it is one.
void PackChecker::Unreadable(const absl::Status& status, const Scanned& record) {
  if (status.ok()) return;
  if (absl::IsFailedPrecondition(status)) {
    later_.Update(
        absl::FailedPreconditionError(absl::StrCat(Here(record), ": ", status.message())));
    return;
  }
  report_.Damage(Here(record),
                 absl::StrCat("the bytes of this ", Name(record.header->type),
                              " record are as they were written, and make no sense: ",
                              status.message(), "; ", Absl(LossOf(record.header->type))));
}

absl::Status PackChecker::CheckBlob(const Scanned& record) {
  absl::StatusOr<BlobHead> blob = ParseBlobHead(record.payload, record.payload.size());
  Unreadable(blob.status(), record);
  if (!blob.ok() || !blob->prefix.has_decode()) return absl::OkStatus();
  return CheckDecoder(blob->prefix.decode().decoder(), record);
}

absl::Status PackChecker::CheckManifest(const Scanned& record, const RecordRef& ref) {
  absl::StatusOr<Manifest> manifest = ParseManifest(record.payload);
  if (!manifest.ok()) return absl::OkStatus();  // told by Apply
  absl::Status status =
      CheckOnlyOne(ref, manifest->namespace_(), manifest->name(), manifest->version());
  for (const archive::v1::DecoderUse& use : manifest->decoders()) {
    if (status.ok()) status = CheckDecoder(use.decoder(), record);
  }
  if (status.ok() && manifest->has_object_decode()) {
    status = CheckDecoder(manifest->object_decode().decode().decoder(), record);
  }
  for (const archive::v1::View& view : manifest->views()) {
    if (status.ok()) status = CheckDecoder(view.decode().decoder(), record);
  }
  return status;
}

absl::Status PackChecker::CheckUpdate(const Scanned& record, const RecordRef& ref) {
  Update update;
  if (!update.ParseFromString(record.payload)) return absl::OkStatus();  // told by Apply
  const std::string &ns = update.namespace_(), &name = update.name();
  if (update.delete_marker() != 0) return CheckOnlyOne(ref, ns, name, update.delete_marker());
  absl::StatusOr<std::optional<IndexVersion>> left =
      known_.fresh.Version(ns, name, update.removed());
  if (!left.ok()) return left.status();
  if (*left) {
    report_.Damage(absl::StrCat(ns, "/", name, " version ", update.removed()),
                   absl::StrCat("the update at ", Describe(ref.location),
                                " removed it for good, and a later record gives that number to "
                                "something else"));
  }
  return absl::OkStatus();
}

// A version's number is given once.
absl::Status PackChecker::CheckOnlyOne(const RecordRef& ref, const std::string& ns,
                                       const std::string& name, uint64_t version) {
  absl::StatusOr<std::optional<IndexVersion>> known = known_.fresh.Version(ns, name, version);
  if (!known.ok()) return known.status();
  if (!*known) return absl::OkStatus();  // removed
  const Location there{.pack = (*known)->record().pack(),
                       .offset = (*known)->record().offset(),
                       .length = (*known)->record().length()};
  if (there == ref.location) return absl::OkStatus();
  report_.Damage(absl::StrCat(ns, "/", name, " version ", version),
                 absl::StrCat("the number is given twice: by the ", Name(ref.type), " at ",
                              Describe(ref.location), " and by the record at ", Describe(there),
                              ", which is the one that shows"));
  return absl::OkStatus();
}

absl::Status PackChecker::CheckEvent(const Scanned& record) {
  Event event;
  if (!event.ParseFromString(record.payload) || !event.has_registration()) return absl::OkStatus();
  return CheckDecoder(event.registration().decoder(), record);
}

// Every decoder that a record names is in the same pack, before it.
absl::Status PackChecker::CheckDecoder(const archive::v1::Digest& decoder, const Scanned& record) {
  absl::StatusOr<Digest> digest = FromMessage(decoder);
  if (!digest.ok()) {
    Unreadable(digest.status(), record);
    return absl::OkStatus();
  }
  if (decoders_.contains(*digest) || !strangers_.insert(*digest).second) return absl::OkStatus();
  absl::StatusOr<std::vector<Location>> copies = known_.fresh.Copies(*digest);
  if (!copies.ok()) return copies.status();
  const std::string what =
      absl::StrCat("decoder ", digest->ToString(), ", which a ", Name(record.header->type),
                   " names, is not before it in this pack");
  if (copies->empty()) {
    report_.NeedsCopyOf(pack_);
    report_.Damage(Here(record), absl::StrCat(what,
                                              ", nor in any other; the versions that need "
                                              "it are named below"));
  } else {
    report_.Warn(Here(record), absl::StrCat(what, "; the copy at ", Describe(copies->front()),
                                            " serves, as long as it is there"));
  }
  return absl::OkStatus();
}

void PackChecker::CheckBarrier(const Scanned& record) {
  absl::StatusOr<Barrier> barrier = DecodeBarrier(record.payload);
  if (!barrier.ok() || barrier->durable <= record.offset) return;
  report_.Damage(Here(record),
                 absl::StrCat("a barrier says that everything before offset ", barrier->durable,
                              " was durable, which is behind the barrier itself"));
}

}  // namespace

absl::Status CheckPacks(PackFiles& packs, const PackKnowledge& known, CheckReport& report) {
  return PackChecker(packs, known, report).Run();
}

}  // namespace vxa
