/* identity/sshca.h -- signs OpenSSH user certificates with ssh-keygen(1) as a child.
 *
 * The CA's private key is a file, or stays in an ssh-agent or a PKCS#11 token. No file set: an
 * Ed25519 key STATE/ssh-ca, 0600, made at first start. Each signature runs on a worker thread: a
 * folder STATE/ssh-work/XXXXXX (0700), the child with an empty environment, no terminal, no shell
 * and no descriptor of ours, at most timeout_ms, then the folder is emptied and removed. At most
 * CPN_SSH_CA_RUNNING at once and CPN_SSH_CA_WAITING waiting. */
#ifndef CPN_IDENTITY_SSHCA_H
#define CPN_IDENTITY_SSHCA_H

#include <uv.h>

#include "codec/sshkey.h"

#define CPN_SSH_CA_RUNNING 2
#define CPN_SSH_CA_WAITING 64
#define CPN_SSH_CA_LINE_MAX 4096
#define CPN_SSH_CERT_MAX 32768

typedef struct cpn_ssh_ca cpn_ssh_ca;

typedef struct cpn_ssh_ca_options {
    const char *state_dir;
    const char *key;     /* "": STATE/ssh-ca. With agent or pkcs11: the public key */
    const char *agent;   /* the agent's socket, or "" */
    const char *pkcs11;  /* the library of a PKCS#11 token, or "" */
    const char *program; /* NULL: /usr/bin/ssh-keygen */
    unsigned timeout_ms;
} cpn_ssh_ca_options;

/* Finds or makes the key, reads its public half, removes what an earlier process left in the work
 * folder. Blocking; start-up only. CPN_NOT_FOUND: there is no ssh-keygen. CPN_E_CONF, CPN_E_SYS:
 * a sentence. */
cpn_rc cpn_ssh_ca_open(cpn_ssh_ca **out, uv_loop_t *loop, const cpn_ssh_ca_options *o,
                       cpn_err *err) CPN_MUST_CHECK;
/* What waits is dropped without an answer; what runs ends by itself. NULL is fine. */
void cpn_ssh_ca_free(cpn_ssh_ca *ca);
/* "ssh-ed25519 AAAA… comment", one line without its end. */
const char *cpn_ssh_ca_public(const cpn_ssh_ca *ca);

/* What to sign. All borrowed for the call. */
typedef struct cpn_ssh_cert {
    const cpn_sshkey *key;
    const char *key_id;         /* printable */
    const char *principals;     /* separated by commas, at least one */
    const char *source_address; /* addresses with lengths, separated by commas; "": from anywhere */
    const char *extensions;     /* "permit-pty …", separated by spaces; "" for none */
    int64_t from_s, to_s;       /* Unix time */
    uint64_t serial;
} cpn_ssh_cert;

/* CPN_OK: body is base64, to stand behind the type of cpn_sshkey_cert_type(). CPN_E_SYS: err says
 * what ssh-keygen said. On the loop. */
typedef void cpn_ssh_cert_done(void *owner, cpn_rc rc, const char *body, const cpn_err *err);
/* CPN_LIMIT: too many wait; done is not called. */
cpn_rc cpn_ssh_ca_sign(cpn_ssh_ca *ca, const cpn_ssh_cert *cert, cpn_ssh_cert_done *done,
                       void *owner) CPN_MUST_CHECK;

#endif
