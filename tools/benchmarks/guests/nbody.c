/* nbody: a sun and four planets, in steps of a symplectic integrator. Stands for simulations in
 * double: square roots, divisions, long chains of dependent operations.
 *
 *   nbody [STEPS]    prints energy and positions */
#include "tools/benchmarks/guests/guest.h"

enum { kBodies = 5 };

typedef struct {
  double at[3], speed[3], mass;
} Body;

/* Made up: orbits that are nearly circles, of other tilts. Units: G = 1, the sun's mass 1. */
static Body bodies[kBodies] = {
    {{0, 0, 0}, {0, 0, 0}, 1},
    {{1.0, 0, 0.05}, {0, 1.0, 0.02}, 1e-4},
    {{0, 1.9, -0.1}, {-0.72, 0.02, 0}, 3e-4},
    {{-3.1, 0.2, 0}, {-0.03, -0.56, 0.05}, 9e-4},
    {{0.3, -5.2, 0.4}, {0.44, 0, -0.01}, 2e-4},
};

static void Step(double dt) {
  for (int i = 0; i < kBodies; i++) {
    for (int j = i + 1; j < kBodies; j++) {
      double d[3], square = 0;
      for (int k = 0; k < 3; k++) {
        d[k] = bodies[i].at[k] - bodies[j].at[k];
        square += d[k] * d[k];
      }
      double pull = dt / (square * __builtin_sqrt(square));
      for (int k = 0; k < 3; k++) {
        bodies[i].speed[k] -= d[k] * bodies[j].mass * pull;
        bodies[j].speed[k] += d[k] * bodies[i].mass * pull;
      }
    }
  }
  for (int i = 0; i < kBodies; i++) {
    for (int k = 0; k < 3; k++) bodies[i].at[k] += dt * bodies[i].speed[k];
  }
}

static double Energy(void) {
  double energy = 0;
  for (int i = 0; i < kBodies; i++) {
    for (int k = 0; k < 3; k++) {
      energy += 0.5 * bodies[i].mass * bodies[i].speed[k] * bodies[i].speed[k];
    }
    for (int j = i + 1; j < kBodies; j++) {
      double square = 0;
      for (int k = 0; k < 3; k++) {
        double d = bodies[i].at[k] - bodies[j].at[k];
        square += d * d;
      }
      energy -= bodies[i].mass * bodies[j].mass / __builtin_sqrt(square);
    }
  }
  return energy;
}

int main(int argc, char** argv) {
  uint64_t hash = 0;
  for (uint32_t steps = Argument(argc, argv, 1, 1000); steps > 0; steps--) Step(0.001);
  for (int i = 0; i < kBodies; i++) {
    for (int k = 0; k < 3; k++) hash = MixDouble(hash, bodies[i].at[k]);
  }
  PrintResult("positions", hash);
  PrintResult("energy", MixDouble(0, Energy()));
  return 0;
}
