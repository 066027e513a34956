/* Turns the gateway's refusals and cuts into sentences, each told once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/printable.h"
#include "client/tunnel_impl.h"

json_t *
cpn_reason_parse(cpn_view json)
{
    json_t *root = json.n ? json_loadb((const char *)json.p, json.n, 0, NULL) : NULL;
    json_t *inner = json_object_get(root, "error");

    if (json_is_object(inner)) {
        json_object_update_missing(root, inner);
        json_object_del(root, "error");
    }
    return root;
}

static const char *
text_of(const json_t *reason, const char *key)
{
    const char *s = json_string_value(json_object_get(reason, key));

    return s ? s : "";
}

bool
cpn_reason_is(cpn_view json, const char *word)
{
    json_auto_t *reason = cpn_reason_parse(json);

    return strcmp(text_of(reason, "code"), word) == 0 ||
           strcmp(text_of(reason, "reason"), word) == 0;
}

void
cpn_reason_sentence_of(cpn_view json, char out[CPN_LAST_WORDS])
{
    json_auto_t *reason = cpn_reason_parse(json);
    const char *message = text_of(reason, "message");
    const char *before = "; missing:";
    const json_t *row;
    size_t i;
    int n;

    if (!message[0])
        message = text_of(reason, "code")[0] ? text_of(reason, "code") : "the gateway refused it";
    n = snprintf(out, CPN_LAST_WORDS, "%s", message);
    json_array_foreach(json_object_get(reason, "missing"), i, row)
    {
        const char *role = text_of(row, "role");

        if (!role[0] || n < 0 || n >= CPN_LAST_WORDS || strstr(message, text_of(row, "scope")))
            continue;
        n += snprintf(out + n, (size_t)(CPN_LAST_WORDS - n), "%s %s on %s", before, role,
                      text_of(row, "scope"));
        before = ",";
    }
}

static bool
told_before(cpn_tunnel *t, const char *key)
{
    for (unsigned i = 0; i < t->said_n; i++)
        if (strcmp(t->said[i], key) == 0)
            return true;
    if (t->said_n == CPN_SAID_MAX) {
        /* The oldest may be told again. */
        free(t->said[0]);
        memmove(t->said, t->said + 1, sizeof(t->said) - sizeof(t->said[0]));
        t->said_n--;
    }
    t->said[t->said_n++] = cpn_xstrdup(key);
    return false;
}

void
cpn_tunnel_say_once(cpn_tunnel *t, const char *sentence)
{
    if (!told_before(t, sentence))
        cpn_say("%s", sentence);
}

void
cpn_tunnel_say_refused(cpn_tunnel *t, const cpn_target *target, cpn_view json)
{
    char sentence[CPN_LAST_WORDS], key[sizeof(target->label) + CPN_LAST_WORDS + 16];
    json_auto_t *reason = cpn_reason_parse(json);

    cpn_event_refused(t, target, json);
    cpn_reason_sentence_of(json, sentence);
    snprintf(key, sizeof(key), "%s, port %u: %s", target->label, target->port, sentence);
    if (told_before(t, key))
        return;
    cpn_say("%s, port %u: refused: %s", target->label, target->port,
            cpn_cli_roles_missing(reason)   ? "you need these roles"
            : text_of(reason, "message")[0] ? text_of(reason, "message")
                                            : sentence);
    cpn_cli_say_problem(reason);
}

/* Ends that the local program sees itself. */
static bool
ordinary(const char *code)
{
    static const char *const codes[] = { "", "closed", "reset_client", "reset_target",
                                         "client_gone" };

    for (size_t i = 0; i < CPN_COUNT(codes); i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

void
cpn_tunnel_say_reset(const cpn_target *target, cpn_view json)
{
    char sentence[CPN_LAST_WORDS];
    json_auto_t *reason = cpn_reason_parse(json);
    const char *by = text_of(reason, "by");

    if (ordinary(text_of(reason, "code")))
        return;
    cpn_reason_sentence_of(json, sentence);
    cpn_say("%s, port %u: session ended: %s%s%s", target->label, target->port, sentence,
            by[0] ? ", by " : "", by);
}
