/* The table of settings for people: a commented YAML file, and a table for the documentation. */
#include <stdlib.h>

#include "config/config.h"
#include "config/key.h"

/* The default as it stands in the table: an empty store stays empty here. */
static void
print_default(FILE *to, const cpn_key *k, const cpn_config *defaults)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf value = { .max = 65536 };

    if (cpn_key_write(k, defaults, &value) == CPN_OK)
        fwrite(value.p, 1, value.n, to);
}

static cpn_config *
table(void)
{
    cpn_config *c = cpn_xcalloc(1, sizeof(*c));

    for (size_t i = 0; i < cpn_keys_n; i++)
        cpn_key_default(&cpn_keys[i], c);
    return c;
}

static const char *
type_name(const cpn_key *k)
{
    static const char *const names[] = {
        [CPN_KEY_TEXT] = "text",
        [CPN_KEY_PATH] = "absolute path",
        [CPN_KEY_WORD] = "one of",
        [CPN_KEY_BOOL] = "true or false",
        [CPN_KEY_UINT] = "number",
        [CPN_KEY_TIME] = "time",
        [CPN_KEY_SIZE] = "size",
        [CPN_KEY_ADDRS] = "list of ADDRESS:PORT",
        [CPN_KEY_PREFIXES] = "list of prefixes",
    };

    return names[k->type];
}

static bool
is_text(const cpn_key *k)
{
    return k->type == CPN_KEY_TEXT || k->type == CPN_KEY_PATH;
}

/* "time, 100ms to 2m" */
static void
print_domain(FILE *to, const cpn_key *k)
{
    fputs(type_name(k), to);
    if (k->type == CPN_KEY_WORD)
        for (const char *p = k->min; *p; p++)
            fprintf(to, "%s%s%c", p == k->min ? " " : "", *p == '|' ? "," : "",
                    *p == '|' ? ' ' : *p);
    else if (k->type == CPN_KEY_TEXT)
        fprintf(to, ", at most %s bytes", k->max);
    else if (k->min[0])
        fprintf(to, ", %s to %s%s", k->min, k->max,
                k->type == CPN_KEY_ADDRS || k->type == CPN_KEY_PREFIXES ? " entries" : "");
}

/* The sentence in comment lines of at most 90 columns. */
static void
print_comment(FILE *to, const char *doc)
{
    size_t column = 0;
    cpn_view left = cpn_view_str(doc), word;

    while (left.n) {
        cpn_view_cut(left, ' ', &word, &left);
        if (column == 0 || column + 1 + word.n > 90)
            column = (size_t)fprintf(to, "%s#", column ? "\n" : "") - (column ? 1 : 0);
        column += (size_t)fprintf(to, " %.*s", CPN_VIEW_ARG(word));
    }
    fputc('\n', to);
}

void
cpn_config_print_defaults(FILE *to)
{
    CPN_AUTO(cpn_auto_mem) cpn_config *c = table();

    fputs(
        "# Settings of caponierd. Each line shows a default; times are 250ms, 30s, 5m, 8h or 2d,\n"
        "# sizes 64KiB, 256MiB or 1GiB.\n",
        to);
    for (size_t i = 0; i < cpn_keys_n; i++) {
        fputc('\n', to);
        print_comment(to, cpn_keys[i].doc);
        fputs("# (", to);
        print_domain(to, &cpn_keys[i]);
        /* An empty value is refused in a file: such a line is an example. */
        fprintf(to, "; %s)\n%s%s: ", cpn_keys[i].reload ? "SIGHUP applies it" : "needs a restart",
                is_text(&cpn_keys[i]) && !cpn_keys[i].def[0] ? "#" : "", cpn_keys[i].key);
        print_default(to, &cpn_keys[i], c);
        fputc('\n', to);
    }
}

void
cpn_config_print_markdown(FILE *to)
{
    CPN_AUTO(cpn_auto_mem) cpn_config *c = table();

    fputs("| setting | default | values | reload | what |\n|---|---|---|---|---|\n", to);
    for (size_t i = 0; i < cpn_keys_n; i++) {
        fprintf(to, "| `%s` | `", cpn_keys[i].key);
        print_default(to, &cpn_keys[i], c);
        fputs("` | ", to);
        print_domain(to, &cpn_keys[i]);
        fprintf(to, " | %s | %s |\n", cpn_keys[i].reload ? "yes" : "restart", cpn_keys[i].doc);
    }
}
