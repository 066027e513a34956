/* Decides what stands in an SSH certificate, has it signed, and says what was signed. */
#include "control/sshcert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/secret.h"
#include "codec/chars.h"
#include "control/azbastion.h"
#include "control/usage.h"
#include "identity/sshca.h"
#include "policy/sshlogin.h"

#define SKEW_S 60 /* machines' clocks */
#define PORT_SSH 22

/* One certificate on its way. */
typedef struct signing {
    cpn_oauth_certified *certified;
    void *call;
    json_t *notes;
    int64_t expires_in;
} signing;

/* ---- the CA ---- */

cpn_rc
cpn_sshcert_open(cpn_control *c, cpn_err *err)
{
    cpn_ssh_ca_options o = { .state_dir = c->set.state_dir,
                             .key = c->set.ssh_ca_key,
                             .agent = c->set.ssh_ca_agent,
                             .pkcs11 = c->set.ssh_ca_pkcs11,
                             .timeout_ms = (unsigned)c->set.ssh_ca_timeout };
    cpn_rc rc;

    if (!c->set.ssh_certificates)
        return CPN_OK;
    rc = cpn_ssh_ca_open(&c->ssh_ca, c->loop, &o, err);
    if (rc == CPN_NOT_FOUND) {
        cpn_log(CPN_LOG_WARN, "ssh_ca.off", CPN_KE(err));
        return CPN_OK;
    }
    return rc;
}

void
cpn_sshcert_close(cpn_control *c)
{
    cpn_ssh_ca_free(c->ssh_ca);
    c->ssh_ca = NULL;
}

/* ---- words ---- */

static void
refuse(cpn_oauth_certified *certified, void *call, cpn_rc rc, char *sentence,
       CPN_TAKES json_t *notes)
{
    cpn_oauth_cert said = { .rc = rc, .sentence = sentence, .notes = notes };

    cpn_utf8_mend(sentence);
    json_object_set_new(notes, "message", json_string(sentence));
    certified(call, &said);
    json_decref(notes);
}

/* "ada@example.org 0b6c… decision=…": sshd logs it. What is not plain becomes '_'. */
static void
key_id_write(char *out, size_t size, const cpn_principal *who, const char *decision)
{
    char name[129];

    (void)cpn_view_copy(
        (cpn_view){ (const uint8_t *)who->name, strnlen(who->name, sizeof(name) - 1) }, name,
        sizeof(name));
    for (char *c = name; *c; c++)
        if (!cpn_is_alnum((uint8_t)*c) && !strchr("@._+-", *c))
            *c = '_';
    snprintf(out, size, "%s %s decision=%s", name, who->object_id, decision);
}

static void
addresses_write(const cpn_config_list *list, char *out, size_t size)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < list->n && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i ? "," : "", list->item[i]);
}

/* ---- policy ---- */

/* The connect decision to the machine, rule 5 included. */
static cpn_rc
target_decide(cpn_control *c, const cpn_principal *who, const char *target, cpn_err *err)
{
    cpn_want *want = cpn_xcalloc(1, sizeof(*want));
    cpn_verdict *v = cpn_xcalloc(1, sizeof(*v));
    cpn_facts facts;
    cpn_rc rc;

    want->port = PORT_SSH;
    snprintf(want->target_id, sizeof(want->target_id), "%s", target);
    cpn_az_bastion(c, who, want, NULL, NULL);
    facts = cpn_want_facts(want, who);
    facts.ssh_certificate = true;
    rc = cpn_decide(c->snapshot, &facts, v);
    if (rc != CPN_OK) {
        (void)cpn_verdict_sentence(v, err->msg, sizeof(err->msg));
        err->rc = rc;
    }
    free(v);
    free(want);
    return rc;
}

static cpn_rc
login_decide(cpn_control *c, const cpn_principal *who, const char *target, cpn_ssh_login *login,
             cpn_err *err)
{
    cpn_ssh_rules rules = { .user_words = c->set.ssh_user_principals,
                            .admin_words = c->set.ssh_admin_principals,
                            .reserved = c->set.ssh_reserved_names };
    cpn_rc rc = CPN_OK;

    if (cpn_usage_certificate(c->sessions->usage, who->object_id,
                              (unsigned)c->set.ssh_certs_per_minute, cpn_mono_ms()) != CPN_OK)
        return cpn_fail(err, CPN_AGAIN, "too many certificates were asked for; try again shortly");
    if (target[0])
        rc = target_decide(c, who, target, err);
    if (rc != CPN_OK)
        return rc;
    return cpn_ssh_login_for(c->snapshot, who, &rules, cpn_view_str(target), cpn_wall_s(), login,
                             err);
}

/* ---- signing ---- */

static void
signed_or_not(void *owner, cpn_rc rc, const char *body, const cpn_err *err)
{
    signing *s = owner;
    cpn_oauth_cert said = {
        .rc = rc, .sentence = "", .body = body, .expires_in = s->expires_in, .notes = s->notes
    };

    if (rc != CPN_OK)
        cpn_log(CPN_LOG_ERROR, "ssh_ca.sign_failed", CPN_KE(err));
    s->certified(s->call, &said);
    json_decref(s->notes);
    free(s);
}

static cpn_rc
sign(cpn_control *c, const cpn_ssh_ask *ask, const cpn_ssh_login *login, const char *key_id,
     CPN_TAKES signing *s)
{
    char source[64 * CPN_ADDR_TEXT], serial[24];
    int64_t now = cpn_wall_s();
    cpn_ssh_cert cert = { .key = &ask->key,
                          .key_id = key_id,
                          .principals = login->principals,
                          .source_address = source,
                          .extensions = c->set.ssh_cert_extensions,
                          .from_s = now - SKEW_S,
                          .to_s = now + (int64_t)c->set.ssh_cert_ttl / 1000 };
    cpn_rc rc;

    addresses_write(&c->set.ssh_cert_source_address, source, sizeof(source));
    cpn_random(&cert.serial, sizeof(cert.serial));
    snprintf(serial, sizeof(serial), "%" PRIu64, cert.serial);
    json_object_set_new(s->notes, "certificateSerial", json_string(serial));
    json_object_set_new(s->notes, "certificateKeyId", json_string(key_id));
    json_object_set_new(s->notes, "certificatePrincipals", json_string(login->principals));
    s->expires_in = cert.to_s - now;
    rc = cpn_ssh_ca_sign(c->ssh_ca, &cert, signed_or_not, s);
    if (rc != CPN_OK) {
        cpn_err err = { .rc = rc, .msg = "too many certificates are asked for at once" };

        signed_or_not(s, rc, NULL, &err);
    }
    return rc;
}

void
cpn_sshcert_certify(void *owner, const cpn_principal *who, const cpn_ssh_ask *ask,
                    cpn_oauth_certified *certified, void *call)
{
    cpn_control *c = owner;
    cpn_ssh_login *login = cpn_xcalloc(1, sizeof(*login));
    char decision[CPN_UUID_TEXT], key_id[256];
    json_t *notes = json_object();
    cpn_err err = { 0 };
    cpn_uuid id;
    cpn_rc rc;

    cpn_uuid_new(&id);
    cpn_uuid_text(&id, decision);
    json_object_set_new(notes, "decisionId", json_string(decision));
    json_object_set_new(notes, "userEmail", json_string(who->name));
    json_object_set_new(notes, "clientKeyId", json_string(ask->key_id));
    json_object_set_new(notes, "targetResourceId", json_string(ask->target));
    rc = login_decide(c, who, ask->target, login, &err);
    if (rc != CPN_OK) {
        refuse(certified, call, rc, err.msg, notes);
    } else {
        signing *s = cpn_xcalloc(1, sizeof(*s));

        s->certified = certified;
        s->call = call;
        s->notes = notes;
        if (login->cut)
            cpn_log(CPN_LOG_WARN, "ssh_cert.cut", CPN_KV("user", who->name),
                    CPN_KI("principals", login->principals_n));
        key_id_write(key_id, sizeof(key_id), who, decision);
        (void)!sign(c, ask, login, key_id, s);
    }
    free(login);
}
