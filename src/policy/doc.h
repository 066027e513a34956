/* policy/doc.h -- one stored document: the JSON as given, and what it says in typed form. Immutable
 * once made and shared between snapshots by a count of references. Internal to src/policy.
 *
 * What another document is (a network, an interface) is kept as an id here: which object bears that
 * id is decided anew in each snapshot, at seal. */
#ifndef CPN_POLICY_DOC_H
#define CPN_POLICY_DOC_H

#include <jansson.h>

#include "model/session.h"
#include "policy/kind.h"
#include "policy/role.h"
#include "policy/shape.h"
#include "policy/window.h"

#define CPN_NETWORK_PREFIXES_MAX 64
#define CPN_NETWORK_PEERINGS_MAX 500
#define CPN_MACHINE_NICS_MAX 8
#define CPN_HOST_KEYS_MAX 16
#define CPN_HOST_KEY_MAX 4096
#define CPN_TAGS_MAX 50
#define CPN_BASTION_PORTS_MAX 32
#define CPN_GROUP_MEMBERS_MAX 10000
#define CPN_EXTERNAL_MAX 512 /* groups of a claim, as identity/idtoken.h */
#define CPN_SCALE_UNITS_MIN 2
#define CPN_SCALE_UNITS_MAX 50
#define CPN_SESSIONS_MAX_MAX 10000
#define CPN_PHC_MAX 512
#define CPN_LIMIT_BYTES_MAX 9007199254740992 /* what every JSON reader keeps exactly */

/* The id of another document, in lower case; its hash is kept since it is looked up in each seal.
 */
typedef struct cpn_ref {
    char *lower; /* NULL: refers to nothing */
    unsigned n;
    unsigned hash;
} cpn_ref;

typedef struct cpn_doc {
    unsigned refs;
    cpn_kind kind;
    char *id;         /* as written */
    cpn_ref self;     /* lower case */
    const char *name; /* the id's last segment, in id */
    json_t *body;
    cpn_ref parent; /* the subscription, group or scale set it lies in; a credential's principal */
    /* Networks: peerings. Interfaces and bastions: the network. Machines: interfaces. Groups:
     * members. Assignments: the principal. */
    cpn_ref *links;
    unsigned links_n;
    union {
        struct {
            cpn_prefix *prefixes;
            unsigned prefixes_n;
        } network;
        cpn_addr nic_addr;
        char *host_keys; /* one a line */
        struct {
            cpn_sku sku;
            unsigned scale_units;
            bool tunneling, ip_connect, any_protocol;
            uint16_t *ports;
            unsigned ports_n;
        } bastion;
        struct {
            cpn_principal_kind kind;
            const char *name; /* borrowed from body */
            char *name_lower;
            char *app_id; /* lower case; NULL: none */
            bool enabled;
            unsigned sessions_max;
            char *external_key;           /* "ISSUER\nSUBJECT"; of a group: the claim's value */
            const char **external_groups; /* values of the groups claim, borrowed from body */
            unsigned external_groups_n;
        } principal;
        uint64_t sign_ins_since; /* of a credential */
        struct {
            cpn_role_def role; /* lists are arrays of ours, of strings borrowed from body */
            char *name_lower;
        } role;
        struct {
            cpn_ref scope; /* lower NULL: everything */
            char *role;    /* name or GUID, lower case */
            bool deny;
            cpn_window window;
            cpn_byte_limits limits; /* of a session that it allows */
        } assignment;
    } as;
} cpn_doc;

/* Read and check one document; the body is copied. CPN_INVALID with path, found and expected. */
cpn_rc cpn_doc_new(cpn_doc **out, cpn_kind kind, const char *id, const json_t *body,
                   bool allow_loopback, cpn_err *err) CPN_MUST_CHECK;
cpn_doc *cpn_doc_ref(cpn_doc *d);
void cpn_doc_free(cpn_doc *d); /* drops one reference; NULL is fine */
CPN_DEFINE_AUTO(cpn_doc, cpn_doc)

/* What a role is looked up by: the part of a lower-case text behind "…/roledefinitions/", or all of
 * a text that is no id. NULL: the id of something else. */
const char *cpn_role_key(const char *lower);
void cpn_ref_set(cpn_ref *r, cpn_view id);
unsigned cpn_ref_hash(const char *lower, size_t n);
void cpn_lower(char *s);
/* A new lower-case copy. */
char *cpn_lower_dup(cpn_view v);

/* The bodies, a function a kind. d has id, name and parent; the body is d->body. */
typedef cpn_rc cpn_doc_read_fn(cpn_doc *d, const cpn_shape *s, bool allow_loopback);
cpn_doc_read_fn cpn_read_subscription, cpn_read_group, cpn_read_network, cpn_read_nic,
    cpn_read_scale_set, cpn_read_machine, cpn_read_bastion, cpn_read_principal, cpn_read_credential,
    cpn_read_role, cpn_read_assignment;

/* At most CPN_TAGS_MAX names with their texts; NULL is fine. */
cpn_rc cpn_doc_tags(const cpn_shape *s, const json_t *tags) CPN_MUST_CHECK;
/* For the readers: add the id in value to links, which must be of this kind. */
cpn_rc cpn_doc_link(cpn_doc *d, const cpn_shape *s, const char *path, const json_t *value,
                    cpn_kind kind) CPN_MUST_CHECK;
/* The member "external" of a principal: how a provider calls it. */
cpn_rc cpn_read_external(cpn_doc *d, const cpn_shape *s) CPN_MUST_CHECK;
/* The whole list under a key of the body, each once; min..max elements; absent is empty. */
cpn_rc cpn_doc_links(cpn_doc *d, const cpn_shape *s, const char *key, cpn_kind kind, size_t min,
                     size_t max) CPN_MUST_CHECK;

#endif
