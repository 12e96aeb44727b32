// The changes that commits make, and what they have to find to be made.
#ifndef ARCHIVE_CHANGES_H_
#define ARCHIVE_CHANGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/commit_log.h"
#include "archive/index.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {

// The latest version if it isn't a delete marker, else 0.
uint64_t VisibleVersion(const IndexHead& head);

// What is put.
struct Content {
  Digest digest;                // of the original
  std::string stored_identity;  // fold.h; of encoded bytes with a decoder of their own
};

// Whether a put may be made: an error if a precondition doesn't hold; a version if its request was
// answered with that before, or it is visible and has the same content (which is null if it isn't
// known yet); nothing if a version is to be added.
absl::StatusOr<std::optional<uint64_t>> CheckPut(const IndexView& state, const PutSpec& spec,
                                                 const Content* content);

// Adds a version with a manifest that is complete but for the version and the time.
class PutChange : public Change {
 public:
  // All outlive the change. `parts`: one record in each pack that the object lies in, the last.
  PutChange(const PutSpec& spec, archive::v1::Manifest& manifest,
            std::vector<DecoderImage> decoders, std::vector<Location> parts);

  absl::StatusOr<std::optional<NewRecord>> Prepare(const IndexView& state) override;

  // After a commit: the version that was found instead, or nothing if one was added.
  std::optional<uint64_t> existing() const { return existing_; }

 private:
  const PutSpec& spec_;
  archive::v1::Manifest& manifest_;
  const std::vector<DecoderImage> decoders_;
  const std::vector<Location> parts_;
  std::optional<uint64_t> existing_;
  std::string payload_;
};

// Adds an event.
class EventChange : public Change {
 public:
  // Complete but for the time. What the views point at outlives the change.
  explicit EventChange(archive::v1::Event event, std::vector<DecoderImage> decoders = {})
      : event_(std::move(event)), decoders_(std::move(decoders)) {}

  absl::StatusOr<std::optional<NewRecord>> Prepare(const IndexView& state) override;

 private:
  archive::v1::Event event_;
  const std::vector<DecoderImage> decoders_;
  std::string payload_;
};

// Hides a name, or removes a version.
class DeleteChange : public Change {
 public:
  // `spec` outlives the change.
  explicit DeleteChange(const DeleteSpec& spec) : spec_(spec) {}

  absl::StatusOr<std::optional<NewRecord>> Prepare(const IndexView& state) override;

  // After a commit: the delete marker's version, or the one removed.
  uint64_t version() const { return version_; }

 private:
  const DeleteSpec& spec_;
  uint64_t version_ = 0;
  std::string payload_;
};

}  // namespace vxa

#endif  // ARCHIVE_CHANGES_H_
