/*
 * Steps of Schedule-Free optimizers in C, as plain as a compiler likes them: gcc -O3 -fno-math-errno vectorises
 * the loops, with -march=native in the widest instructions there are. One thread. The figures that the fused
 * kernels of roadless are held against.
 *
 * Speaks the protocol of engines/serve.ts: a request per line on stdin, answers that begin with "@".
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static float *y, *z, *v, *g;
static long n;
static char optimizer[64];
static int k;
static double weight_sum;

/* y, z: arXiv 2405.15682; v: the second moment. c = w_t / sum w, as AdamWScheduleFree has it. */
static void adamw(float lr, float beta1, float beta2, float eps, float correction, float c) {
  float *restrict Y = y, *restrict Z = z, *restrict V = v;
  const float *restrict G = g;
  const float to_y = lr * (beta1 * (1 - c) - 1);
  for (long i = 0; i < n; i++) {
    const float second = V[i] * beta2 + (1 - beta2) * G[i] * G[i];
    const float direction = G[i] / (sqrtf(second * correction) + eps);
    V[i] = second;
    Y[i] = Y[i] + c * (Z[i] - Y[i]) + to_y * direction;
    Z[i] = Z[i] - lr * direction;
  }
}

static void sgd(float lr, float beta, float c) {
  float *restrict Y = y, *restrict Z = z;
  const float *restrict G = g;
  const float to_y = lr * (beta * (1 - c) - 1);
  for (long i = 0; i < n; i++) {
    Y[i] = Y[i] + c * (Z[i] - Y[i]) + to_y * G[i];
    Z[i] = Z[i] - lr * G[i];
  }
}

static void step(void) {
  const double lr = 0.001, weight = lr * lr;
  k++;
  weight_sum += weight;
  const float c = weight / weight_sum;
  if (strcmp(optimizer, "SGDScheduleFree") == 0) {
    sgd(lr, 0.9f, c);
  } else if (strcmp(optimizer, "AdamWScheduleFree") == 0) {
    adamw(lr, 0.9f, 0.999f, 1e-8f, 1 / (1 - pow(0.999, k)), c);
  } else { /* RAdam: the same loop with a rectified rate */
    const double rho = 1999, t = k, power = pow(0.999, t), r = rho - 2 * t * power / (1 - power);
    const double rate =
        r > 5 ? sqrt((r - 4) * (r - 2) * rho / ((rho - 4) * (rho - 2) * r)) * lr : 0;
    adamw(rate, 0.9f, 0.999f, 1e-8f, 1 / (1 - power), c);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void release(void) {
  free(y), free(z), free(v), free(g);
  y = z = v = g = NULL;
}

/* The value after "name": in a line of JSON. */
static const char *field(const char *line, const char *name) {
  const char *at = strstr(line, name);
  return at ? at + strlen(name) : "";
}

static void prepare(const char *line) {
  if (sscanf(field(line, "\"optimizer\":\""), "%63[A-Za-z]", optimizer) != 1 ||
      sscanf(field(line, "\"parameters\":"), "%ld", &n) != 1) {
    puts("@{\"cannot\":\"only optimizer steps\"}");
    return;
  }
  float **all[] = {&y, &z, &v, &g};
  for (int a = 0; a < 4; a++) {
    *all[a] = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
    for (long i = 0; i < n; i++) (*all[a])[i] = a == 3 ? 0.1f : a == 2 ? 0 : (i % 100) * 0.01f;
  }
  k = 0, weight_sum = 0;
  const double start = now();
  step();
  printf("@{\"call\":%.9g}\n", now() - start);
}

static void run(double seconds) {
  const double end = now() + seconds;
  int count = 1;
  const char *comma = "";
  for (printf("@{\"samples\":["); now() < end;) {
    const double start = now();
    for (int i = 0; i < count; i++) step();
    const double took = now() - start;
    if (took < seconds / 8 && count < 1000000) {
      count *= 2;
      continue;
    }
    printf("%s%.9g", comma, took / count);
    comma = ",";
  }
  puts("]}");
}

int main(void) {
  static char line[65536];
  while (fgets(line, sizeof line, stdin)) {
    if (strstr(line, "\"op\":\"prepare\"")) prepare(line);
    else if (strstr(line, "\"op\":\"run\"")) run(atof(field(line, "\"seconds\":")));
    else if (strstr(line, "\"op\":\"about\"")) printf("@{\"gcc\":\"%s\"}\n", __VERSION__);
    else if (strstr(line, "\"op\":\"release\"")) release(), puts("@{}");
    else puts("@{\"cannot\":\"only optimizer steps\"}");
    fflush(stdout);
  }
  return 0;
}
