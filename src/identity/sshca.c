/* The CA of SSH certificates: its key at start, then signatures on worker threads. */
#include "identity/sshca.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "identity/sshkeygen.h"
#include "store/private_file.h"

#define EXTENSIONS_MAX 16
#define ARGS_MAX (24 + 2 * (EXTENSIONS_MAX + 1))

typedef struct job job;

struct cpn_ssh_ca {
    uv_loop_t *loop;
    char work_dir[CPN_KEYGEN_PATH / 2];
    char key[CPN_KEYGEN_PATH];
    char agent[CPN_KEYGEN_PATH];
    char pkcs11[CPN_KEYGEN_PATH];
    char program[CPN_KEYGEN_PATH];
    char line[CPN_SSH_CA_LINE_MAX];
    unsigned timeout_ms;
    unsigned running, waiting;
    job *first, **last;
    bool closed; /* the last running job frees it */
};

/* Its texts are copies in one allocation behind it. */
struct job {
    uv_work_t work;
    cpn_ssh_ca *ca;
    job *next;
    cpn_sshkey key;
    char *key_id, *principals, *source, *extensions;
    int64_t from_s, to_s;
    uint64_t serial;
    char *body;
    cpn_err err;
    cpn_rc rc;
    cpn_ssh_cert_done *done;
    void *owner;
};

static bool
path_set(char out[CPN_KEYGEN_PATH], const char *text)
{
    return cpn_view_copy(cpn_view_str(text ? text : ""), out, CPN_KEYGEN_PATH);
}

/* A small text file that need not be private; the parent of a secret one is checked elsewhere. */
static cpn_rc
file_read(const char *path, cpn_buf *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *at;
    ssize_t n;

    if (fd < 0)
        return errno == ENOENT ? CPN_NOT_FOUND
                               : cpn_fail(err, CPN_E_CONF, "%s: %s", path, strerror(errno));
    if (cpn_buf_reserve(out, out->max, &at) != CPN_OK)
        return cpn_fail(err, CPN_E_NOMEM, "%s", path);
    for (;;) {
        n = read(fd, at + out->n, out->max - out->n);
        if (n < 0)
            return cpn_fail(err, CPN_E_SYS, "%s: %s", path, strerror(errno));
        if (n == 0)
            return CPN_OK;
        out->n += (size_t)n;
        if (out->n == out->max)
            return cpn_fail(err, CPN_E_CONF, "%s: too long", path);
    }
}

/* ---- the key ---- */

/* The public key's first line, which must look like one. */
static cpn_rc
line_take(cpn_ssh_ca *ca, const char *path, cpn_err *err)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf text = { .max = CPN_SSH_CA_LINE_MAX };
    cpn_view line, rest, type, more;
    cpn_rc rc = file_read(path, &text, err);
    char name[64];

    if (rc != CPN_OK)
        return rc;
    cpn_view_cut(cpn_buf_view(&text), '\n', &line, &rest);
    cpn_view_cut(line, ' ', &type, &more);
    if (!cpn_view_copy(type, name, sizeof(name)) || !cpn_sshkey_body(line, name, &more) ||
        !cpn_view_copy(line, ca->line, sizeof(ca->line)))
        return cpn_fail(err, CPN_E_CONF, "%s: not an OpenSSH public key", path);
    return CPN_OK;
}

static cpn_rc
key_make(cpn_ssh_ca *ca, cpn_err *err)
{
    CPN_AUTO(cpn_keygen_dir_wipe) cpn_keygen_dir dir = { .path = "" };
    CPN_AUTO(cpn_buf_fini) cpn_buf secret = { .max = 8192 };
    CPN_AUTO(cpn_buf_fini) cpn_buf line = { .max = CPN_SSH_CA_LINE_MAX };
    char path[CPN_KEYGEN_PATH + 16], pub[CPN_KEYGEN_PATH + 16];
    cpn_rc rc = cpn_keygen_dir_make(&dir, ca->work_dir, err);

    if (rc != CPN_OK)
        return rc;
    snprintf(path, sizeof(path), "%s/key", dir.path);
    snprintf(pub, sizeof(pub), "%s/key.pub", dir.path);
    {
        const char *const argv[] = { "ssh-keygen",      "-q", "-t", "ed25519", "-N", "", "-C",
                                     "caponier SSH CA", "-f", path, NULL };

        rc = cpn_keygen_run(ca->program, argv, &dir, "", ca->timeout_ms, err);
    }
    if (rc != CPN_OK || (rc = cpn_private_file_read(path, &secret, err)) != CPN_OK ||
        (rc = file_read(pub, &line, err)) != CPN_OK)
        return rc;
    snprintf(pub, sizeof(pub), "%s.pub", ca->key);
    if ((rc = cpn_private_file_write(pub, cpn_buf_view(&line), err)) != CPN_OK ||
        (rc = cpn_private_file_write(ca->key, cpn_buf_view(&secret), err)) != CPN_OK)
        return rc;
    if (chmod(pub, 0644) < 0)
        return cpn_fail(err, CPN_E_SYS, "%s: %s", pub, strerror(errno));
    cpn_log(CPN_LOG_INFO, "ssh_ca.made", CPN_KV("file", ca->key));
    return CPN_OK;
}

/* The private key is where it should be, or is made; then its public half, from KEY.pub. */
static cpn_rc
key_open(cpn_ssh_ca *ca, bool own, cpn_err *err)
{
    char pub[CPN_KEYGEN_PATH + 8];
    cpn_rc rc;

    if (ca->agent[0] || ca->pkcs11[0])
        rc = line_take(ca, ca->key, err);
    else {
        snprintf(pub, sizeof(pub), "%s.pub", ca->key);
        rc = cpn_private_file_check(ca->key, false, err);
        if (rc == CPN_NOT_FOUND && own)
            rc = key_make(ca, err);
        if (rc == CPN_OK)
            rc = line_take(ca, pub, err);
    }
    if (rc == CPN_NOT_FOUND && !own)
        return cpn_fail(err, CPN_E_CONF, "ssh_ca_key: %s or its public half is missing", ca->key);
    return rc;
}

cpn_rc
cpn_ssh_ca_open(cpn_ssh_ca **out, uv_loop_t *loop, const cpn_ssh_ca_options *o, cpn_err *err)
{
    cpn_ssh_ca *ca = cpn_xcalloc(1, sizeof(*ca));
    bool own = !o->key || !o->key[0];
    char key[CPN_KEYGEN_PATH];
    cpn_rc rc = CPN_OK;

    ca->loop = loop;
    ca->last = &ca->first;
    ca->timeout_ms = o->timeout_ms;
    snprintf(key, sizeof(key), "%s/ssh-ca", o->state_dir);
    snprintf(ca->work_dir, sizeof(ca->work_dir), "%s/ssh-work", o->state_dir);
    if (!path_set(ca->key, own ? key : o->key) || !path_set(ca->agent, o->agent) ||
        !path_set(ca->pkcs11, o->pkcs11) ||
        !path_set(ca->program, o->program ? o->program : CPN_KEYGEN_PROGRAM) ||
        strlen(o->state_dir) + 16 > sizeof(ca->work_dir))
        rc = cpn_fail(err, CPN_E_CONF, "a path is too long");
    else if (access(ca->program, X_OK) < 0)
        rc = cpn_fail(err, CPN_NOT_FOUND, "%s: %s", ca->program, strerror(errno));
    if (rc == CPN_OK) {
        cpn_keygen_dirs_sweep(ca->work_dir);
        rc = key_open(ca, own, err);
    }
    if (rc != CPN_OK) {
        free(ca);
        return cpn_ctx(err, rc, "the CA of SSH certificates");
    }
    *out = ca;
    return CPN_OK;
}

const char *
cpn_ssh_ca_public(const cpn_ssh_ca *ca)
{
    return ca->line;
}

/* ---- a signature ---- */

typedef struct command {
    const char *argv[ARGS_MAX];
    unsigned n;
    char valid[64], serial[24], source[4200];
    char extension[EXTENSIONS_MAX][64];
    unsigned extensions;
} command;

static void
put(command *c, const char *option, const char *value)
{
    if (c->n > ARGS_MAX - 3)
        abort(); /* counted above */
    c->argv[c->n++] = option;
    if (value)
        c->argv[c->n++] = value;
}

static bool
put_extensions(command *c, const char *words)
{
    cpn_view left = cpn_view_str(words), word;

    put(c, "-O", "clear");
    while (left.n) {
        cpn_view_cut(left, ' ', &word, &left);
        if (word.n == 0)
            continue;
        if (c->extensions == EXTENSIONS_MAX ||
            !cpn_view_copy(word, c->extension[c->extensions], sizeof(c->extension[0])))
            return false;
        put(c, "-O", c->extension[c->extensions++]);
    }
    return true;
}

static bool
command_write(command *c, const job *j, const char *key_file)
{
    const cpn_ssh_ca *ca = j->ca;

    put(c, "ssh-keygen", "-q");
    put(c, "-s", ca->key);
    if (ca->agent[0])
        put(c, "-U", NULL);
    if (ca->pkcs11[0])
        put(c, "-D", ca->pkcs11);
    put(c, "-I", j->key_id);
    put(c, "-n", j->principals);
    snprintf(c->valid, sizeof(c->valid), "0x%" PRIx64 ":0x%" PRIx64, (uint64_t)j->from_s,
             (uint64_t)j->to_s);
    put(c, "-V", c->valid);
    snprintf(c->serial, sizeof(c->serial), "%" PRIu64, j->serial);
    put(c, "-z", c->serial);
    if (!put_extensions(c, j->extensions))
        return false;
    if (j->source[0]) {
        int n = snprintf(c->source, sizeof(c->source), "source-address=%s", j->source);

        if (n < 0 || (size_t)n >= sizeof(c->source))
            return false;
        put(c, "-O", c->source);
    }
    put(c, key_file, NULL);
    c->argv[c->n] = NULL;
    return true;
}

static cpn_rc
body_take(job *j, const char *path)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf text = { .max = CPN_SSH_CERT_MAX };
    cpn_view body;
    cpn_rc rc = file_read(path, &text, &j->err);

    if (rc == CPN_NOT_FOUND)
        return cpn_fail(&j->err, CPN_E_SYS, "ssh-keygen wrote no certificate");
    if (rc != CPN_OK)
        return rc;
    if (!cpn_sshkey_body(cpn_buf_view(&text), cpn_sshkey_cert_type(j->key.kind), &body))
        return cpn_fail(&j->err, CPN_E_SYS, "ssh-keygen wrote something else");
    j->body = cpn_xstrndup((const char *)body.p, body.n);
    return CPN_OK;
}

static cpn_rc
sign(job *j)
{
    CPN_AUTO(cpn_keygen_dir_wipe) cpn_keygen_dir dir = { .path = "" };
    CPN_AUTO(cpn_buf_fini) cpn_buf line = { .max = CPN_SSHKEY_LINE_SIZE + 1 };
    char pub[CPN_KEYGEN_PATH + 16], cert[CPN_KEYGEN_PATH + 16];
    command c = { .n = 0 };
    cpn_rc rc = cpn_keygen_dir_make(&dir, j->ca->work_dir, &j->err);

    if (rc != CPN_OK)
        return rc;
    snprintf(pub, sizeof(pub), "%s/k.pub", dir.path);
    snprintf(cert, sizeof(cert), "%s/k-cert.pub", dir.path);
    if (cpn_buf_printf(&line, "%s\n", j->key.line) != CPN_OK || !command_write(&c, j, pub))
        return cpn_fail(&j->err, CPN_E_SYS, "more than ssh-keygen is given");
    rc = cpn_keygen_dir_put(&dir, "k.pub", cpn_buf_view(&line), &j->err);
    if (rc == CPN_OK)
        rc = cpn_keygen_run(j->ca->program, c.argv, &dir, j->ca->agent, j->ca->timeout_ms, &j->err);
    return rc == CPN_OK ? body_take(j, cert) : rc;
}

/* ---- the queue ---- */

static void
job_free(job *j)
{
    free(j->key_id);
    free(j->principals);
    free(j->source);
    free(j->extensions);
    free(j->body);
    free(j);
}

static void
work_cb(uv_work_t *w)
{
    job *j = w->data;

    j->rc = sign(j);
}

static void start_waiting(cpn_ssh_ca *ca);

static void
after_cb(uv_work_t *w, int status)
{
    job *j = w->data;
    cpn_ssh_ca *ca = j->ca;

    ca->running--;
    if (status != 0)
        j->rc = CPN_UNAVAILABLE;
    if (ca->closed) {
        if (ca->running == 0)
            free(ca);
        job_free(j);
        return;
    }
    start_waiting(ca);
    j->done(j->owner, j->rc, j->rc == CPN_OK ? j->body : NULL, &j->err);
    job_free(j);
}

static void
start_waiting(cpn_ssh_ca *ca)
{
    while (ca->first && ca->running < CPN_SSH_CA_RUNNING) {
        job *j = ca->first;

        ca->first = j->next;
        if (!ca->first)
            ca->last = &ca->first;
        ca->waiting--;
        ca->running++;
        j->work.data = j;
        if (uv_queue_work(ca->loop, &j->work, work_cb, after_cb) != 0)
            abort(); /* fails only without a callback */
    }
}

cpn_rc
cpn_ssh_ca_sign(cpn_ssh_ca *ca, const cpn_ssh_cert *cert, cpn_ssh_cert_done *done, void *owner)
{
    job *j;

    if (ca->waiting >= CPN_SSH_CA_WAITING)
        return CPN_LIMIT;
    j = cpn_xcalloc(1, sizeof(*j));
    j->ca = ca;
    j->key = *cert->key;
    j->key_id = cpn_xstrdup(cert->key_id);
    j->principals = cpn_xstrdup(cert->principals);
    j->source = cpn_xstrdup(cert->source_address);
    j->extensions = cpn_xstrdup(cert->extensions);
    j->from_s = cert->from_s;
    j->to_s = cert->to_s;
    j->serial = cert->serial;
    j->done = done;
    j->owner = owner;
    *ca->last = j;
    ca->last = &j->next;
    ca->waiting++;
    start_waiting(ca);
    return CPN_OK;
}

void
cpn_ssh_ca_free(cpn_ssh_ca *ca)
{
    if (!ca)
        return;
    for (job *j = ca->first, *next; j; j = next) {
        next = j->next;
        job_free(j);
    }
    ca->first = NULL;
    ca->closed = true;
    if (ca->running == 0)
        free(ca);
}
