/* gpt_by_hand.c: the training step of gpt.py as a C programmer would write it for these very sizes:
 * position by position forward, whole matrices backward, then Adam. Compiled by by_hand.py. */
#include <math.h>
#include <string.h>

enum { VOCABULARY = 27, BLOCK = 16, N = 16, HEADS = 4, HEAD = N / HEADS, WIDE = 4 * N };

/* In the order of gpt.py's make_weights, a row for each output. */
typedef struct {
    double token[VOCABULARY][N], position[BLOCK][N], logits[VOCABULARY][N];
    double query[N][N], key[N][N], value[N][N], mix[N][N], widen[WIDE][N], narrow[N][WIDE];
} weights;

enum { COUNT = sizeof(weights) / sizeof(double) };

/* out = w x */
static void linear(int nout, int nin, const double *w, const double *x, double *out) {
    for (int j = 0; j < nout; j++) {
        double sum = 0.0;
        for (int i = 0; i < nin; i++) sum += w[j * nin + i] * x[i];
        out[j] = sum;
    }
}

/* Given the gradient of out: add that of w, and add that of x. */
static void linear_back(int nout, int nin, const double *w, const double *x, const double *dout,
                        double *dw, double *dx) {
    for (int j = 0; j < nout; j++)
        for (int i = 0; i < nin; i++) {
            dw[j * nin + i] += dout[j] * x[i];
            dx[i] += dout[j] * w[j * nin + i];
        }
}

static void softmax(int n, const double *x, double *out) {
    double top = x[0], sum = 0.0;
    for (int i = 1; i < n; i++) top = x[i] > top ? x[i] : top;
    for (int i = 0; i < n; i++) sum += out[i] = exp(x[i] - top);
    for (int i = 0; i < n; i++) out[i] /= sum;
}

/* out = x scale, scale = (mean x^2 + 1e-5)^-1/2, which is returned */
static double rmsnorm(const double *x, double *out) {
    double sum = 0.0;
    for (int i = 0; i < N; i++) sum += x[i] * x[i];
    const double scale = 1.0 / sqrt(sum / N + 1e-5);
    for (int i = 0; i < N; i++) out[i] = x[i] * scale;
    return scale;
}

/* d out_j / d x_i = scale (i = j) - x_i x_j scale^3 / N; added to dx */
static void rmsnorm_back(const double *x, double scale, const double *dout, double *dx) {
    double sum = 0.0;
    for (int i = 0; i < N; i++) sum += dout[i] * x[i];
    for (int i = 0; i < N; i++) dx[i] += dout[i] * scale - x[i] * sum * scale * scale * scale / N;
}

/* What a position leaves behind for the way back. */
typedef struct {
    double embedded[N], x[N], attended[N], query[N], key[N], value[N], heads[N];
    double shares[HEADS][BLOCK], middle[N], normed[N], hidden[WIDE], last[N], probs[VOCABULARY];
    double scale, scale_attended, scale_middle;
} position;

/* at[] is filled up to t; the surprise at the target. */
static double forward(const weights *w, position *at, int t, int token, int target) {
    position *now = &at[t];
    for (int i = 0; i < N; i++) now->embedded[i] = w->token[token][i] + w->position[t][i];
    now->scale = rmsnorm(now->embedded, now->x);
    now->scale_attended = rmsnorm(now->x, now->attended);
    linear(N, N, w->query[0], now->attended, now->query);
    linear(N, N, w->key[0], now->attended, now->key);
    linear(N, N, w->value[0], now->attended, now->value);
    memset(now->heads, 0, sizeof now->heads);
    for (int h = 0; h < HEADS; h++) {
        double scores[BLOCK] = {0};
        for (int s = 0; s <= t; s++) {
            linear(1, HEAD, &now->query[h * HEAD], &at[s].key[h * HEAD], &scores[s]);
            scores[s] /= sqrt(HEAD);
        }
        softmax(t + 1, scores, now->shares[h]);
        for (int s = 0; s <= t; s++)
            for (int i = h * HEAD; i < (h + 1) * HEAD; i++)
                now->heads[i] += now->shares[h][s] * at[s].value[i];
    }
    linear(N, N, w->mix[0], now->heads, now->middle);
    for (int i = 0; i < N; i++) now->middle[i] += now->x[i];
    now->scale_middle = rmsnorm(now->middle, now->normed);
    linear(WIDE, N, w->widen[0], now->normed, now->hidden);
    for (int i = 0; i < WIDE; i++) now->hidden[i] = now->hidden[i] < 0.0 ? 0.0 : now->hidden[i];
    linear(N, WIDE, w->narrow[0], now->hidden, now->last);
    for (int i = 0; i < N; i++) now->last[i] += now->middle[i];
    double logits[VOCABULARY];
    linear(VOCABULARY, N, w->logits[0], now->last, logits);
    softmax(VOCABULARY, logits, now->probs);
    return -log(now->probs[target]);
}

/* The gradients of keys and values of all positions are complete down to t. */
static void backward(const weights *w, weights *g, const position *at, int t, int token, int target,
                     int count, double dkeys[][N], double dvalues[][N]) {
    const position *now = &at[t];
    double dlogits[VOCABULARY], dmiddle[N] = {0}, dhidden[WIDE] = {0}, dnormed[N] = {0};
    double dheads[N] = {0}, dquery[N] = {0}, dattended[N] = {0}, dembedded[N] = {0};
    for (int i = 0; i < VOCABULARY; i++)
        dlogits[i] = (now->probs[i] - (i == target ? 1.0 : 0.0)) / count;
    linear_back(VOCABULARY, N, w->logits[0], now->last, dlogits, g->logits[0], dmiddle);
    linear_back(N, WIDE, w->narrow[0], now->hidden, dmiddle, g->narrow[0], dhidden);
    for (int i = 0; i < WIDE; i++) dhidden[i] = now->hidden[i] > 0.0 ? dhidden[i] : 0.0;
    linear_back(WIDE, N, w->widen[0], now->normed, dhidden, g->widen[0], dnormed);
    rmsnorm_back(now->middle, now->scale_middle, dnormed, dmiddle);
    linear_back(N, N, w->mix[0], now->heads, dmiddle, g->mix[0], dheads);
    for (int h = 0; h < HEADS; h++) {
        double dshares[BLOCK], sum = 0.0;
        for (int s = 0; s <= t; s++) {
            linear(1, HEAD, &dheads[h * HEAD], &at[s].value[h * HEAD], &dshares[s]);
            sum += dshares[s] * now->shares[h][s];
            for (int i = h * HEAD; i < (h + 1) * HEAD; i++)
                dvalues[s][i] += now->shares[h][s] * dheads[i];
        }
        for (int s = 0; s <= t; s++) {
            const double dscore = now->shares[h][s] * (dshares[s] - sum) / sqrt(HEAD);
            for (int i = h * HEAD; i < (h + 1) * HEAD; i++) {
                dquery[i] += dscore * at[s].key[i];
                dkeys[s][i] += dscore * now->query[i];
            }
        }
    }
    linear_back(N, N, w->query[0], now->attended, dquery, g->query[0], dattended);
    linear_back(N, N, w->key[0], now->attended, dkeys[t], g->key[0], dattended);
    linear_back(N, N, w->value[0], now->attended, dvalues[t], g->value[0], dattended);
    rmsnorm_back(now->x, now->scale_attended, dattended, dmiddle);
    rmsnorm_back(now->embedded, now->scale, dmiddle, dembedded);
    for (int i = 0; i < N; i++) {
        g->token[token][i] += dembedded[i];
        g->position[t][i] += dembedded[i];
    }
}

/* The loss of count + 1 tokens, and its gradients. */
double gpt_loss(const double *numbers, double *gradients, const int *tokens, int count) {
    const weights *w = (const weights *)numbers;
    position at[BLOCK];
    double dkeys[BLOCK][N] = {{0}}, dvalues[BLOCK][N] = {{0}}, loss = 0.0;
    memset(gradients, 0, sizeof(weights));
    for (int t = 0; t < count; t++) loss += forward(w, at, t, tokens[t], tokens[t + 1]);
    for (int t = count; t-- > 0;)
        backward(w, (weights *)gradients, at, t, tokens[t], tokens[t + 1], count, dkeys, dvalues);
    return loss / count;
}

/* Adam; step is 1, 2, ...; m and v are zero at first. */
void gpt_update(double *numbers, const double *gradients, double *m, double *v, int step,
                double rate, double beta1, double beta2, double eps) {
    const double correction1 = 1.0 - pow(beta1, step), correction2 = 1.0 - pow(beta2, step);
    for (int k = 0; k < COUNT; k++) {
        const double g = gradients[k];
        m[k] = beta1 * m[k] + (1.0 - beta1) * g;
        v[k] = beta2 * v[k] + (1.0 - beta2) * g * g;
        numbers[k] -= rate * (m[k] / correction1) / (sqrt(v[k] / correction2) + eps);
    }
}
