// MPFR's numbers as values, for tests.
#ifndef VXENGINE_TESTING_MPFR_NUMBER_H_
#define VXENGINE_TESTING_MPFR_NUMBER_H_

#include <mpfr.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace vx {

class MpfrNumber {
 public:
  explicit MpfrNumber(mpfr_prec_t bits) { mpfr_init2(value_, bits); }
  MpfrNumber(const MpfrNumber& other) : MpfrNumber(mpfr_get_prec(other.value_)) {
    mpfr_set(value_, other.value_, MPFR_RNDN);
  }
  MpfrNumber& operator=(const MpfrNumber& other) {
    mpfr_set_prec(value_, mpfr_get_prec(other.value_));
    mpfr_set(value_, other.value_, MPFR_RNDN);
    return *this;
  }
  ~MpfrNumber() { mpfr_clear(value_); }

  // ±word · 2^exponent, least significant word first.
  static MpfrNumber FromWords(bool negative, const uint64_t* word, size_t words, int64_t exponent) {
    MpfrNumber number(static_cast<mpfr_prec_t>(64 * words));
    mpz_t integer;
    mpz_init(integer);
    mpz_import(integer, words, -1, sizeof *word, 0, 0, word);
    if (negative) mpz_neg(integer, integer);
    mpfr_set_z_2exp(number.value_, integer, exponent, MPFR_RNDN);
    mpz_clear(integer);
    return number;
  }

  // The magnitude of a number that isn't 0 as kWords words times 2^*exponent; the top bit is 1.
  // What they don't hold is cut off.
  template <size_t kWords>
  std::array<uint64_t, kWords> ToWords(int64_t* exponent) const {
    MpfrNumber cut(64 * kWords);
    mpfr_abs(cut.value_, value_, MPFR_RNDZ);
    mpz_t integer;
    mpz_init(integer);
    *exponent = mpfr_get_z_2exp(integer, cut.value_);
    std::array<uint64_t, kWords> words{};
    mpz_export(words.data(), nullptr, -1, sizeof(uint64_t), 0, 0, integer);
    mpz_clear(integer);
    return words;
  }

  mpfr_ptr get() { return value_; }
  mpfr_srcptr get() const { return value_; }

 private:
  mpfr_t value_;
};

}  // namespace vx

#endif  // VXENGINE_TESTING_MPFR_NUMBER_H_
