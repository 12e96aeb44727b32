#include "archive/index.h"

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace vxa {
namespace {

class IndexTest : public ::testing::Test {
 protected:
  IndexTest() {
    std::string path = ::testing::TempDir() + "/index-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) abort();
    directory_ = path;
    index_ = *Index::Open(Env::Real(), directory_);
  }
  ~IndexTest() override {
    index_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Makes changes, and writes them.
  template <typename Changes>
  void Write(Changes changes) {
    IndexTransaction transaction(*index_);
    changes(transaction);
    ASSERT_TRUE(transaction.Write().ok());
  }
  static IndexVersion OfSize(uint64_t size) {
    IndexVersion version;
    version.set_size(size);
    return version;
  }
  // Numbers of a name's versions, from the latest down.
  static std::vector<uint64_t> Versions(const IndexView& view, const std::string& name) {
    std::vector<uint64_t> versions;
    uint64_t below = UINT64_MAX;
    for (;;) {
      auto found = view.LatestVersion("ns", name, below);
      if (!found.ok() || !*found) return versions;
      EXPECT_EQ((*found)->second.size(), (*found)->first * 10) << "the value belongs to the key";
      versions.push_back(below = (*found)->first);
    }
  }

  std::string directory_;
  std::unique_ptr<Index> index_;
};

TEST_F(IndexTest, KeepsNamesInBytewiseOrderWithinTheirNamespace) {
  const std::vector<std::string> names = {"a", "a b", "a/b", "ab", "b", "\xc3\xa9"};
  Write([&](IndexTransaction& t) {
    for (const std::string& name : names) t.SetHead("ns", name, IndexHead());
    t.SetHead("n", "z", IndexHead());
    t.SetHead("ns2", "0", IndexHead());
  });
  std::string key = HeadKey("ns", "");
  std::vector<std::string> found;
  for (;;) {
    auto entry = index_->FirstAtOrAfter(key);
    ASSERT_TRUE(entry.ok() && *entry);
    std::optional<std::string_view> name = NameOfHeadKey("ns", (*entry)->first);
    if (!name) break;
    found.emplace_back(*name);
    key = (*entry)->first + '\0';
  }
  EXPECT_EQ(found, names);
}

TEST_F(IndexTest, FindsVersionsFromTheLatestDownAndNoOtherNames) {
  Write([](IndexTransaction& t) {
    for (uint64_t version : {1, 2, 255, 256, 65536}) {
      t.SetVersion("ns", "a", version, OfSize(version * 10));
    }
    t.SetVersion("ns", "a b", 7, OfSize(70));
    t.SetVersion("ns", "A", 8, OfSize(80));
  });
  EXPECT_EQ(Versions(*index_, "a"), (std::vector<uint64_t>{65536, 256, 255, 2, 1}));
  EXPECT_EQ(Versions(*index_, "a b"), std::vector<uint64_t>{7});
  EXPECT_TRUE(Versions(*index_, "b").empty());
}

TEST_F(IndexTest, ShowsATransactionsChangesInItAtOnceAndElsewhereWhenWritten) {
  Write([](IndexTransaction& t) {
    for (uint64_t version : {2, 4, 6}) t.SetVersion("ns", "a", version, OfSize(version * 10));
  });
  IndexTransaction transaction(*index_);
  transaction.RemoveVersion("ns", "a", 6);
  transaction.RemoveVersion("ns", "a", 4);
  transaction.SetVersion("ns", "a", 5, OfSize(50));
  transaction.SetVersion("ns", "a", 3, OfSize(30));
  transaction.RemoveVersion("ns", "a", 3);
  transaction.SetVersion("ns", "a", 1, OfSize(10));
  EXPECT_EQ(Versions(transaction, "a"), (std::vector<uint64_t>{5, 2, 1}));
  EXPECT_EQ(Versions(*index_, "a"), (std::vector<uint64_t>{6, 4, 2}));
  const std::unique_ptr<Index::Snapshot> before = index_->Now();
  ASSERT_TRUE(transaction.Write().ok());
  EXPECT_EQ(Versions(*index_, "a"), (std::vector<uint64_t>{5, 2, 1}));
  EXPECT_EQ(Versions(*before, "a"), (std::vector<uint64_t>{6, 4, 2}));
  EXPECT_EQ(transaction.size(), 0u);
}

TEST_F(IndexTest, FindsNothingBehindTheLastKeyThoughItIsRemoved) {
  Write([](IndexTransaction& t) { t.SetVersion("ns", "a", 1, OfSize(10)); });
  IndexTransaction transaction(*index_);
  transaction.RemoveVersion("ns", "a", 1);
  EXPECT_TRUE(Versions(transaction, "a").empty());
  auto entry = transaction.FirstAtOrAfter("");
  EXPECT_TRUE(entry.ok() && !*entry);
}

TEST_F(IndexTest, GivesAllCopiesOfAPayloadAndNoOthers) {
  const Digest digest = Digest::Of("payload");
  Digest neighbour = digest;
  ++neighbour.bytes.back();
  const std::vector<Location> copies = {{.pack = 1, .offset = 96, .length = 7},
                                        {.pack = 1, .offset = 1 << 20, .length = 7},
                                        {.pack = 256, .offset = 8, .length = 7}};
  Write([&](IndexTransaction& t) {
    t.AddCopy(neighbour, {.pack = 1, .offset = 200, .length = 1});
    t.AddCopy(digest, copies[2]);
    t.AddCopy(digest, copies[0]);
  });
  IndexTransaction transaction(*index_);
  transaction.AddCopy(digest, copies[1]);
  EXPECT_EQ(*transaction.Copies(digest), copies);
  EXPECT_EQ(index_->Copies(digest)->size(), 2u);
  EXPECT_TRUE(index_->Copies(Digest::Of("other"))->empty());
}

TEST_F(IndexTest, CountsWhatWasLostSinceARecord) {
  EXPECT_EQ(*index_->LostSince(0), 0u);
  Write([](IndexTransaction& t) {
    t.SetLost(10, 3);
    t.SetLost(300, 4);
    t.AddCopy(Digest(), {});  // the next key
  });
  EXPECT_EQ(*index_->LostSince(0), 4u);
  EXPECT_EQ(*index_->LostSince(9), 4u);
  EXPECT_EQ(*index_->LostSince(10), 1u) << "three of them were lost before it";
  EXPECT_EQ(*index_->LostSince(299), 1u);
  EXPECT_EQ(*index_->LostSince(300), 0u);
  EXPECT_EQ(*index_->LostSince(UINT64_MAX), 0u);
}

TEST_F(IndexTest, KeepsAWatermarkAndThePacksWhenOpenedAgain) {
  const Position position{.pack = 7,
                          .uuid = {1, 2, 3},
                          .offset = 1234,
                          .chain = Digest::Of("chain"),
                          .next_sequence = 99};
  EXPECT_EQ(index_->Watermark()->pack, 0u);
  Write([&](IndexTransaction& t) {
    t.SetWatermark(position);
    t.SetPack({7, position.uuid});
  });
  index_.reset();
  index_ = *Index::Open(Env::Real(), directory_);
  absl::StatusOr<Position> found = index_->Watermark();
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->pack, 7u);
  EXPECT_EQ(found->uuid, position.uuid);
  EXPECT_EQ(found->offset, 1234u);
  EXPECT_EQ(found->chain, position.chain);
  EXPECT_EQ(found->next_sequence, 99u);
  EXPECT_EQ(*index_->PackUuid(7), position.uuid);
  EXPECT_EQ(*index_->PackUuid(8), std::nullopt);
}

}  // namespace
}  // namespace vxa
