/* caponier names: names that begin with a word, for completion; silent whatever goes wrong. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/api.h"
#include "client/running.h"
#include "codec/chars.h"
#include "model/resource.h"

#define CALL_MS 1500 /* somebody waits with a finger on a key */
#define ALL_S 2      /* name lookups and all */
#define WORD_MAX 80

/* Whether the word came or not. */
static void
on_alarm(int number)
{
    (void)number;
    _exit(0);
}

/* A word for every shell, and no option for any program. */
static bool
plain(cpn_view name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!cpn_is_alnum(name.p[i]) && !memchr("._-", name.p[i], 3))
            return false;
    return name.n > 0 && name.n <= WORD_MAX && cpn_is_alnum(name.p[0]);
}

static void
say(cpn_view name, const char *word)
{
    size_t n = strlen(word);

    if (plain(name) && n <= name.n && strncasecmp((const char *)name.p, word, n) == 0)
        printf("%.*s\n", CPN_VIEW_ARG(name));
}

static void
say_rows(const json_t *rows, const char *key, const char *word)
{
    const json_t *row;
    size_t i;

    json_array_foreach((json_t *)rows, i, row)
    {
        const char *text = json_string_value(json_object_get(row, key));
        cpn_resource_id id;

        if (!text)
            continue;
        if (text[0] != '/')
            say(cpn_view_str(text), word);
        else if (cpn_resource_id_parse(&id, cpn_view_str(text), NULL) == CPN_OK && !id.subname.n)
            say(id.name, word);
    }
}

/* One page is more than anybody reads. */
static void
ask(cpn_api *a, const char *kind, const char *word, cpn_err *err)
{
    static const struct {
        const char *kind, *target, *key;
    } kinds[] = {
        { "machines", "/v1/documents?kind=" CPN_KIND_MACHINE "&prefix=", "id" },
        { "bastions", "/v1/documents?kind=" CPN_KIND_BASTION "&prefix=", "id" },
        { "sessions", "/v1/sessions?prefix=", "sessionId" },
    };
    json_auto_t *got = NULL;
    char target[256];

    for (size_t i = 0; i < CPN_COUNT(kinds); i++) {
        if (strcmp(kinds[i].kind, kind) != 0 || (word[0] && !plain(cpn_view_str(word))))
            continue;
        snprintf(target, sizeof(target), "%s%s", kinds[i].target, word);
        if (cpn_api_call(a, "GET", target, NULL, &got, err) == CPN_OK)
            say_rows(json_object_get(got, "value"), kinds[i].key, word);
        return;
    }
}

/* Those that run here; the gateway is not asked. */
static void
look(const char *word, cpn_err *err)
{
    json_auto_t *found = NULL;

    if (cpn_running_list(&found, err) == CPN_OK)
        say_rows(found, "id", word);
}

/* The access token that is there, or none: a renewal that is cut off would cost the sign-in. */
static cpn_rc
names_run(cpn_cli *cli, cpn_err *err)
{
    const char *kind = cli->args.arg[0];
    const char *word = cli->args.args > 1 ? cli->args.arg[1] : "";
    cpn_api a = { 0 };

    (void)!freopen("/dev/null", "w", stderr);
    signal(SIGALRM, on_alarm);
    alarm(ALL_S);
    if (strcmp(kind, "tunnels") == 0) {
        look(word, err);
    } else if (cpn_api_init(&a, cli, err) == CPN_OK && a.ctx.gateway &&
               a.ctx.expires_s > cpn_wall_s()) {
        cpn_secret_wipe(&a.ctx.refresh_token); /* so that nothing renews it */
        a.timeout_ms = CALL_MS;
        ask(&a, kind, word, err);
    }
    cpn_api_fini(&a);
    err->msg[0] = '\0';
    json_decref(cli->problem);
    cli->problem = NULL;
    return CPN_OK;
}

const cpn_cmd cpn_cmd_names = {
    .name = "names",
    .brief = "Print names for completion",
    .flags = CPN_CMD_CALLS | CPN_CMD_HIDDEN,
    .args = "machines|bastions|sessions|tunnels [WORD]",
    .args_help = "what, and what it begins with",
    .min_args = 1,
    .max_args = 2,
    .examples = (const cpn_example[]){ { "caponier names machines we", "web1 web2" }, { 0 } },
    .run = names_run,
};
