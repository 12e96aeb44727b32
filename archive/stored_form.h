// An object's stored form: the concatenation of its chunks, each decoded and checked.
#ifndef ARCHIVE_STORED_FORM_H_
#define ARCHIVE_STORED_FORM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "archive/blob.h"
#include "archive/decoder_runner.h"
#include "archive/pack_files.h"
#include "vxa/archive/v1/records.pb.h"
#include "vxengine/decode_service.h"

namespace vxa {

// Reads a stored form from some place on. Used by one thread; the manifest and everything else
// given outlive it.
class StoredForm {
 public:
  StoredForm(PackFiles& packs, DecoderRunner& runner, Locator locator,
             const archive::v1::Manifest& manifest, uint64_t offset, const CallContext& context)
      : packs_(packs),
        runner_(runner),
        locator_(std::move(locator)),
        manifest_(manifest),
        context_(context),
        session_(runner.NewSession()),
        offset_(offset) {}

  // The bytes from the present place to the end of the chunk that has it, all checked; empty at the
  // end. DATA_DAMAGED or DECODER_FAILED, naming the chunk and the places tried.
  absl::StatusOr<std::string> Next();

  const CostSheet& costs() const { return costs_; }

 private:
  absl::StatusOr<archive::v1::Chunk> ChunkAt(uint64_t offset);
  absl::Status LoadList(uint64_t offset);
  absl::StatusOr<std::string> ReadChunk(const archive::v1::Chunk& chunk);

  PackFiles& packs_;
  DecoderRunner& runner_;
  const Locator locator_;
  const archive::v1::Manifest& manifest_;
  const CallContext& context_;
  const std::unique_ptr<vx::DecodeSession> session_;
  uint64_t offset_;
  archive::v1::ChunkList list_;  // the chunk list that was read last
  CostSheet costs_;
};

// The stored form as a decoder's input.
class StoredFormSource : public vx::ByteSource {
 public:
  explicit StoredFormSource(StoredForm& form) : form_(form) {}
  absl::StatusOr<std::string_view> Next() override {
    absl::StatusOr<std::string> next = form_.Next();
    if (!next.ok()) return next.status();
    bytes_ = *std::move(next);
    return std::string_view(bytes_);
  }

 private:
  StoredForm& form_;
  std::string bytes_;
};

}  // namespace vxa

#endif  // ARCHIVE_STORED_FORM_H_
