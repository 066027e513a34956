/* Passwords and client secrets: argon2id on worker threads, two at a time.
 *
 * Every check goes over as much memory as the dearest of the kept hashes needs: what its own hash
 * leaves of that, and for an unknown user all of it, goes over memory that nobody looks at. Else a
 * new password_memory would tell by the time an answer takes who has a password here. */
#include <argon2.h>
#include <stdio.h>
#include <stdlib.h>

#include "identity/identity_core.h"

#define MEMORY_KIB_MAX (256u << 10) /* what a kept hash may ask for */
#define MEMORY_KIB_MIN 8            /* argon2's own, for one lane */
#define PASSES 3
#define LANES 1
#define SALT_BYTES 16
#define HASH_BYTES 32
#define PHC_MAX 256
#define RUNNING_MAX 2
#define WAITING_MAX 64

typedef struct job {
    uv_work_t work;
    cpn_credentials *c;
    struct job *next;
    bool check;
    bool known;
    uint32_t most_kib; /* what a check goes over */
    char phc[PHC_MAX];
    cpn_secret secret;
    cpn_rc rc;
    cpn_credential_may *may; /* NULL: always */
    cpn_credential_done *done;
    void *owner;
} job;

struct cpn_credentials {
    uv_loop_t *loop;
    uint32_t memory_kib;
    uint32_t most_kib;
    unsigned running;
    unsigned waiting;
    job *first;
    job **last;
    bool closed; /* the last running job frees it */
};

cpn_credentials *
cpn_credentials_new(uv_loop_t *loop, uint32_t memory_kib)
{
    cpn_credentials *c = cpn_xcalloc(1, sizeof(*c));

    c->loop = loop;
    c->memory_kib = c->most_kib = memory_kib;
    c->last = &c->first;
    return c;
}

static void
job_free(job *j)
{
    cpn_secret_wipe(&j->secret);
    explicit_bzero(j->phc, sizeof(j->phc));
    free(j);
}

void
cpn_credentials_free(cpn_credentials *c)
{
    if (!c)
        return;
    for (job *j = c->first, *next; j; j = next) {
        next = j->next;
        job_free(j);
    }
    c->first = NULL;
    c->closed = true;
    if (c->running == 0)
        free(c);
}

/* KiB that PASSES passes over cost as much as it; 0: its costs are absurd, or it is no hash. */
static uint32_t
phc_kib(const char *phc)
{
    unsigned m, t, p;

    if (strncmp(phc, "$argon2id$v=19$", 15) != 0 ||
        sscanf(phc + 15, "m=%7u,t=%3u,p=%3u$", &m, &t, &p) != 3 || m > MEMORY_KIB_MAX || t > 10 ||
        p > 4)
        return 0;
    return CPN_MIN(m * t / PASSES, MEMORY_KIB_MAX);
}

/* For the time that it takes. */
static void
spend(const cpn_secret *secret, uint32_t kib)
{
    static const uint8_t salt[SALT_BYTES];
    uint8_t hash[HASH_BYTES];

    if (kib < MEMORY_KIB_MIN)
        return;
    (void)!argon2id_hash_raw(PASSES, kib, LANES, secret->b, secret->n, salt, sizeof(salt), hash,
                             sizeof(hash));
    explicit_bzero(hash, sizeof(hash));
}

static void
run_check(job *j)
{
    uint32_t kib = j->known ? phc_kib(j->phc) : 0;

    j->rc =
        kib && argon2id_verify(j->phc, j->secret.b, j->secret.n) == ARGON2_OK ? CPN_OK : CPN_DENIED;
    spend(&j->secret, j->most_kib - CPN_MIN(kib, j->most_kib));
}

static void
run_hash(job *j)
{
    uint8_t salt[SALT_BYTES];

    cpn_random(salt, sizeof(salt));
    j->rc = argon2id_hash_encoded(PASSES, j->c->memory_kib, LANES, j->secret.b, j->secret.n, salt,
                                  sizeof(salt), HASH_BYTES, j->phc, sizeof(j->phc)) == ARGON2_OK
                ? CPN_OK
                : CPN_E_NOMEM;
}

static void
work_cb(uv_work_t *w)
{
    job *j = w->data;

    if (j->check)
        run_check(j);
    else
        run_hash(j);
    cpn_secret_wipe(&j->secret);
}

static void start_waiting(cpn_credentials *c);

static void
after_cb(uv_work_t *w, int status)
{
    job *j = w->data;
    cpn_credentials *c = j->c;

    if (status != 0)
        j->rc = CPN_UNAVAILABLE;
    /* Told before the next one starts: what it was decides whether that may. */
    if (!c->closed)
        j->done(j->owner, j->rc, !j->check && j->rc == CPN_OK ? j->phc : NULL);
    job_free(j);
    c->running--;
    if (!c->closed)
        start_waiting(c);
    else if (c->running == 0)
        free(c);
}

static job *
first_take(cpn_credentials *c)
{
    job *j = c->first;

    c->first = j->next;
    if (!c->first)
        c->last = &c->first;
    c->waiting--;
    return j;
}

static void
start_waiting(cpn_credentials *c)
{
    while (c->first && c->running < RUNNING_MAX) {
        job *j = first_take(c);

        if (j->may && !j->may(j->owner)) {
            j->done(j->owner, CPN_AGAIN, NULL);
            job_free(j);
            continue;
        }
        c->running++;
        j->work.data = j;
        if (uv_queue_work(c->loop, &j->work, work_cb, after_cb) != 0)
            abort(); /* fails only without a callback */
    }
}

static cpn_rc
submit(cpn_identity *i, const char *phc, bool check, const cpn_secret *secret, job *j)
{
    cpn_credentials *c = i->credentials;

    j->c = c;
    j->check = check;
    j->most_kib = c->most_kib;
    j->known = phc && cpn_view_copy(cpn_view_str(phc), j->phc, sizeof(j->phc));
    if (c->waiting >= WAITING_MAX ||
        cpn_secret_set(&j->secret, cpn_secret_view(secret)) != CPN_OK) {
        job_free(j);
        return CPN_LIMIT;
    }
    *c->last = j;
    c->last = &j->next;
    c->waiting++;
    start_waiting(c);
    return CPN_OK;
}

static job *
job_new(cpn_credential_may *may, cpn_credential_done *done, void *owner)
{
    job *j = cpn_xcalloc(1, sizeof(*j));

    j->may = may;
    j->done = done;
    j->owner = owner;
    return j;
}

void
cpn_credential_kept(cpn_identity *i, const char *phc)
{
    cpn_credentials *c = i->credentials;

    c->most_kib = CPN_MAX(c->most_kib, phc_kib(phc));
}

cpn_rc
cpn_credential_hash(cpn_identity *i, const cpn_secret *secret, cpn_credential_done *done,
                    void *owner)
{
    return submit(i, NULL, false, secret, job_new(NULL, done, owner));
}

cpn_rc
cpn_credential_check(cpn_identity *i, const char *phc, const cpn_secret *secret,
                     cpn_credential_may *may, cpn_credential_done *done, void *owner)
{
    return submit(i, phc, true, secret, job_new(may, done, owner));
}
