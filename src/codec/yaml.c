/* From libyaml's events to a tree, refusing what this project does not take. */
#include "codec/yaml.h"

#include <stdlib.h>
#include <yaml.h>

#include "codec/yaml_error.h"

#define BLOCK_BYTES (64u << 10)

/* Memory that goes all at once; nodes and their texts live in it. */
typedef struct block {
    struct block *before;
    size_t n;
    size_t size;
    max_align_t bytes[];
} block;

struct cpn_yaml {
    block *blocks;
    cpn_yaml_node *root;
};

typedef struct builder {
    cpn_yaml *y;
    cpn_yaml_errors *errors;
    cpn_yaml_node *open[CPN_YAML_DEPTH]; /* containers around the current place */
    cpn_yaml_node *last[CPN_YAML_DEPTH]; /* and the latest child of each        */
    size_t depth;
    size_t nodes;
    cpn_yaml_node *key; /* a map's key that waits for its value */
    unsigned documents;
    bool ended;
} builder;

static void *
grab(cpn_yaml *y, size_t n)
{
    block *b = y->blocks;
    void *at;

    n = (n + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
    if (!b || n > b->size - b->n) {
        size_t size = CPN_MAX(n, (size_t)BLOCK_BYTES);
        b = cpn_xcalloc(1, sizeof(*b) + size);
        b->size = size;
        b->before = y->blocks;
        y->blocks = b;
    }
    at = (char *)b->bytes + b->n;
    b->n += n;
    return at;
}

static cpn_rc
refuse(builder *b, const yaml_mark_t *at, const char *what)
{
    return cpn_yaml_error_at(b->errors, (uint32_t)at->line + 1, (uint32_t)at->column + 1, what);
}

static cpn_rc
node_new(builder *b, cpn_yaml_node **out, cpn_yaml_kind kind, const yaml_mark_t *at)
{
    if (++b->nodes > CPN_YAML_NODES)
        return refuse(b, at, "too many values in one file");
    *out = grab(b->y, sizeof(**out));
    (*out)->kind = kind;
    (*out)->line = (uint32_t)at->line + 1;
    (*out)->col = (uint32_t)at->column + 1;
    return CPN_OK;
}

/* Put a node into the container that is open. */
static void
attach(builder *b, cpn_yaml_node *n)
{
    cpn_yaml_node *parent = b->depth ? b->open[b->depth - 1] : NULL;

    if (!parent) {
        b->y->root = n;
        return;
    }
    n->parent = parent;
    n->index = parent->n++;
    if (b->key)
        n->key = b->key->text;
    b->key = NULL;
    if (b->last[b->depth - 1])
        b->last[b->depth - 1]->next = n;
    else
        parent->child = n;
    b->last[b->depth - 1] = n;
}

static bool
waits_for_key(const builder *b)
{
    return b->depth && b->open[b->depth - 1]->kind == CPN_YAML_MAP && !b->key;
}

static cpn_rc
open_container(builder *b, const yaml_event_t *ev, cpn_yaml_kind kind)
{
    cpn_yaml_node *n = NULL;
    cpn_rc rc;

    if (waits_for_key(b))
        return refuse(b, &ev->start_mark, "a key must be a plain word");
    if (b->depth == CPN_YAML_DEPTH)
        return refuse(b, &ev->start_mark, "nested too deeply");
    if ((rc = node_new(b, &n, kind, &ev->start_mark)) != CPN_OK)
        return rc;
    attach(b, n);
    b->open[b->depth] = n;
    b->last[b->depth++] = NULL;
    return CPN_OK;
}

static int
by_key(const void *a, const void *b)
{
    const cpn_yaml_node *x = *(cpn_yaml_node *const *)a, *y = *(cpn_yaml_node *const *)b;
    int order = memcmp(x->key.p, y->key.p, CPN_MIN(x->key.n, y->key.n));

    if (order == 0 && x->key.n != y->key.n)
        order = x->key.n < y->key.n ? -1 : 1;
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static cpn_rc
no_key_twice(builder *b, const cpn_yaml_node *map)
{
    CPN_AUTO(cpn_auto_mem) cpn_yaml_node **sorted = NULL;
    cpn_rc rc = CPN_OK;
    size_t n = 0;

    if (map->n < 2)
        return CPN_OK;
    sorted = cpn_xcalloc(map->n, sizeof(cpn_yaml_node *));
    for (cpn_yaml_node *c = map->child; c; c = c->next)
        sorted[n++] = c;
    qsort(sorted, n, sizeof(cpn_yaml_node *), by_key);
    for (size_t i = 1; i < n; i++)
        if (cpn_view_eq(sorted[i - 1]->key, sorted[i]->key))
            rc = cpn_yaml_error(b->errors, sorted[i], "this key stands twice (first in line %u)",
                                sorted[i - 1]->line);
    return rc;
}

static cpn_rc
close_container(builder *b)
{
    const cpn_yaml_node *n = b->open[--b->depth];

    return n->kind == CPN_YAML_MAP ? no_key_twice(b, n) : CPN_OK;
}

static cpn_rc
scalar(builder *b, const yaml_event_t *ev)
{
    bool is_key = waits_for_key(b);
    size_t length = ev->data.scalar.length;
    cpn_yaml_node *n = NULL;
    uint8_t *copy;
    cpn_rc rc = node_new(b, &n, CPN_YAML_SCALAR, &ev->start_mark);

    if (rc != CPN_OK)
        return rc;
    n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    copy = grab(b->y, length + 1);
    memcpy(copy, ev->data.scalar.value, length);
    n->text = (cpn_view){ copy, length };
    if (memchr(copy, 0, length))
        return refuse(b, &ev->start_mark, "a NUL character");
    if (!is_key) {
        attach(b, n);
        return CPN_OK;
    }
    if (length == 0 || length > CPN_YAML_KEY_MAX)
        return refuse(b, &ev->start_mark, "a key has 1 to 128 bytes");
    b->key = n;
    return CPN_OK;
}

static cpn_rc
document(builder *b, const yaml_event_t *ev)
{
    if (++b->documents > 1)
        return refuse(b, &ev->start_mark, "a second document (expected exactly one)");
    if (ev->data.document_start.version_directive ||
        ev->data.document_start.tag_directives.start != ev->data.document_start.tag_directives.end)
        return refuse(b, &ev->start_mark, "directives are not taken");
    return CPN_OK;
}

static bool
decorated(const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        return ev->data.scalar.anchor || ev->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return ev->data.sequence_start.anchor || ev->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return ev->data.mapping_start.anchor || ev->data.mapping_start.tag;
    default:
        return false;
    }
}

static cpn_rc
take_event(builder *b, const yaml_event_t *ev)
{
    if (decorated(ev))
        return refuse(b, &ev->start_mark, "anchors and tags are not taken");
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        return document(b, ev);
    case YAML_ALIAS_EVENT:
        return refuse(b, &ev->start_mark, "aliases are not taken");
    case YAML_SCALAR_EVENT:
        return scalar(b, ev);
    case YAML_SEQUENCE_START_EVENT:
        return open_container(b, ev, CPN_YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return open_container(b, ev, CPN_YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_container(b);
    case YAML_STREAM_END_EVENT:
        b->ended = true;
        return CPN_OK;
    default:
        return CPN_OK;
    }
}

static cpn_rc
parser_failed(builder *b, const yaml_parser_t *p)
{
    const yaml_mark_t *at =
        p->problem_mark.line || p->problem_mark.column ? &p->problem_mark : &p->context_mark;
    char what[256];

    snprintf(what, sizeof(what), "%s%s%s", p->problem ? p->problem : "not readable as YAML",
             p->context ? " " : "", p->context ? p->context : "");
    return refuse(b, at, what);
}

/* The events of the whole input, until one is refused. */
static cpn_rc
build(builder *b, cpn_view text)
{
    yaml_parser_t parser;
    cpn_rc rc = CPN_OK;

    if (!yaml_parser_initialize(&parser))
        return refuse(b, &(yaml_mark_t){ 0 }, "out of memory");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    /* An empty file has no bytes to point to, which libyaml ends the program for. */
    yaml_parser_set_input_string(&parser, text.n ? text.p : (const uint8_t *)"", text.n);
    while (rc == CPN_OK && !b->ended) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&parser, &ev)) {
            rc = parser_failed(b, &parser);
            break;
        }
        rc = take_event(b, &ev);
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&parser);
    return rc;
}

cpn_rc
cpn_yaml_parse(cpn_yaml **out, cpn_view text, size_t max, cpn_yaml_errors *errors)
{
    CPN_AUTO(cpn_yaml_auto) cpn_yaml *y = cpn_xcalloc(1, sizeof(*y));
    builder b = { .y = y, .errors = errors };
    yaml_mark_t start = { 0 };
    cpn_rc rc;

    if (text.n > max) {
        char what[64];
        snprintf(what, sizeof(what), "over %zu bytes", max);
        return refuse(&b, &start, what);
    }
    if (text.n >= 2 && (text.p[0] >= 0xfe || (text.p[0] == 0xef && text.p[1] == 0xbb)))
        return refuse(&b, &start, "a byte order mark (expected plain UTF-8)");
    if ((rc = build(&b, text)) != CPN_OK)
        return rc;
    if (!y->root)
        return refuse(&b, &start, "the file is empty");
    *out = cpn_steal(&y);
    return CPN_OK;
}

void
cpn_yaml_free(cpn_yaml *y)
{
    if (!y)
        return;
    while (y->blocks) {
        block *b = y->blocks;
        y->blocks = b->before;
        explicit_bzero(b->bytes, b->n);
        free(b);
    }
    free(y);
}

const cpn_yaml_node *
cpn_yaml_root(const cpn_yaml *y)
{
    return y->root;
}
