/* SPDX-License-Identifier: MIT */
#include "seedctl-eval.h"

#include <math.h>
#include <string.h>

#include <seed/pool.h>

#include "eval/sheet.h"
#include "graph/plugin.h"
#include "seedctl.h"

#define DEFAULT_BATCH 32
#define DEFAULT_K 20
#define DEFAULT_TEMPERATURE 0.07
#define DEFAULT_TOLERANCE 1
#define DEFAULT_QUERY "crop"
#define DEFAULT_WORDS 9

static const struct {
  const char *task, *arguments, *summary;
  gboolean (*run) (const SeedctlEvalOptions *options, SeedctlReport *report, GError **error);
  gboolean runs_model;
} tasks[] = {
  { "knn", "MODEL DATA", "classify by the nearest neighbours", seedctl_eval_images, TRUE },
  { "linear", "MODEL DATA", "classify by logistic regression on frozen features",
      seedctl_eval_images, TRUE },
  { "retrieval", "MODEL DATA", "find images of the same class, images by text, texts by image",
      seedctl_eval_images, TRUE },
  { "duplicates", "MODEL DATA", "find the original of every edited image", seedctl_eval_images,
      TRUE },
  { "anchors", "MODEL DATA", "tell whether image anchors are features or places",
      seedctl_eval_anchors, TRUE },
  { "cuts", "MODEL CLIPS.tsv", "find the cuts of video clips", seedctl_eval_cuts, TRUE },
  { "grounding", "PREDICTIONS ANNOTATIONS", "score windows of a video that a text means",
      seedctl_eval_grounding, FALSE },
};

static void
options_clear (SeedctlEvalOptions *options)
{
  char *owned[] = { options->data.labels, options->data.captions, options->test.location,
    options->test.labels, options->test.captions, options->text_model, options->precision,
    options->backend, options->output, options->query, options->lambda, options->features,
    options->sheet };

  for (guint i = 0; i < G_N_ELEMENTS (owned); i++)
    g_free (owned[i]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SeedctlEvalOptions, options_clear)

static gboolean
parse (SeedctlEvalOptions *options, int *argc, char ***argv, const char *arguments,
    const char *summary, int *code)
{
  const GOptionEntry entries[] = {
    { "test", 0, 0, G_OPTION_ARG_FILENAME, &options->test.location,
        "Test on this set (default: leave one out; linear: a fifth)", "DATA" },
    { "labels", 0, 0, G_OPTION_ARG_FILENAME, &options->data.labels,
        "File of labels (default: the set's own)", "FILE" },
    { "test-labels", 0, 0, G_OPTION_ARG_FILENAME, &options->test.labels, "The same of the test set",
        "FILE" },
    { "captions", 0, 0, G_OPTION_ARG_FILENAME, &options->data.captions, "File of captions",
        "FILE" },
    { "test-captions", 0, 0, G_OPTION_ARG_FILENAME, &options->test.captions,
        "The same of the test set", "FILE" },
    { "text-model", 0, 0, G_OPTION_ARG_FILENAME, &options->text_model,
        "Folder of the text tower (default: MODEL's own)", "FOLDER" },
    { "k", 'k', 0, G_OPTION_ARG_INT, &options->k, "knn: neighbours that vote (default: 20)", "N" },
    { "temperature", 0, 0, G_OPTION_ARG_DOUBLE, &options->temperature,
        "knn: votes weigh exp (cos / T) (default: 0.07)", "T" },
    { "lambda", 0, 0, G_OPTION_ARG_STRING, &options->lambda,
        "linear: penalties to choose from (default: 1,0.1,...,1e-5)", "X,Y,..." },
    { "query", 0, 0, G_OPTION_ARG_STRING, &options->query,
        "duplicates: folder of the edited images (default: crop)", "NAME" },
    { "sheet", 0, 0, G_OPTION_ARG_FILENAME, &options->sheet,
        "anchors: also draw the words nearest to each", "FILE.png|FILE.svg" },
    { "words", 0, 0, G_OPTION_ARG_INT, &options->words,
        "anchors: words of each on the sheet (default: 9)", "N" },
    { "tolerance", 0, 0, G_OPTION_ARG_INT, &options->tolerance,
        "cuts: frames that a cut may be off (default: 1)", "N" },
    { "limit", 0, 0, G_OPTION_ARG_INT, &options->limit,
        "Take N images of each set, drawn with the seed (default: all)", "N" },
    { "seed", 0, 0, G_OPTION_ARG_INT64, &options->seed, "Of every draw (default: 0)", "N" },
    { "image-size", 0, 0, G_OPTION_ARG_INT, &options->image_size,
        "Teachers: pixels (default: the model's own)", "N" },
    { "precision", 0, 0, G_OPTION_ARG_STRING, &options->precision,
        "Teachers: float32 (default), bfloat16, int8 or auto", "NAME" },
    { "backend", 0, 0, G_OPTION_ARG_STRING, &options->backend, "Teachers: who multiplies", "NAME" },
    { "batch", 'b', 0, G_OPTION_ARG_INT, &options->batch, "Images in a batch (default: 32)", "N" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &options->threads, "Threads (default: one per processor)",
        "N" },
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &options->output, "Also write the JSON here",
        "FILE" },
    { "features", 0, 0, G_OPTION_ARG_FILENAME, &options->features,
        "Images: also write unit vectors and labels here", "FILE.safetensors" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &options->json, "Print one JSON object", NULL },
    { NULL },
  };

  return seedctl_parse (argc, argv, arguments, summary, entries, code);
}

static const char *
find_mistake (const SeedctlEvalOptions *options)
{
  if (options->k < 1 || options->k > 1000)
    return "--k: expected 1 to 1000";
  if (!isfinite (options->temperature) || options->temperature <= 0)
    return "--temperature: expected a number above 0";
  if (options->batch < 1 || options->batch > 4096)
    return "--batch: expected 1 to 4096";
  if (options->threads < 0 || options->threads > 1024)
    return "--threads: expected 0 to 1024";
  if (options->words < 1 || options->words > (int) SEED_SHEET_MAX_WORDS)
    return "--words: expected 1 to 64";
  if (options->sheet && strcmp (options->task, "anchors") != 0)
    return "--sheet: only anchors draws one";
  if (options->sheet && !seedctl_eval_is_sheet (options->sheet))
    return "--sheet: expected a file that ends in .png or .svg";
  if (options->limit < 0 || options->tolerance < 0 || options->image_size < 0 || options->seed < 0)
    return "--limit, --tolerance, --image-size and --seed: expected 0 or more";
  return NULL;
}

static int
run (const SeedctlEvalOptions *options, guint task)
{
  g_auto (SeedctlReport) report = { 0 };
  g_autoptr (GError) error = NULL;

  if (tasks[task].runs_model) {
    gst_init (NULL, NULL);
    seed_graph_load_plugin ();
  }
  seed_pool_configure ((guint) options->threads);
  seedctl_report_begin (&report, options);
  if (tasks[task].run (options, &report, &error) && seedctl_report_end (&report, options, &error))
    return SEEDCTL_DONE;
  seedctl_complain ("eval", "%s", error->message);
  return SEEDCTL_REFUSED;
}

static int
run_task (guint task, int argc, char **argv)
{
  g_auto (SeedctlEvalOptions) options = { .task = tasks[task].task,
    .batch = DEFAULT_BATCH,
    .k = DEFAULT_K,
    .temperature = DEFAULT_TEMPERATURE,
    .tolerance = DEFAULT_TOLERANCE,
    .words = DEFAULT_WORDS };
  g_autofree char *arguments = g_strdup_printf ("%s %s", tasks[task].task, tasks[task].arguments);
  const char *mistake;
  int code;

  if (!parse (&options, &argc, &argv, arguments, tasks[task].summary, &code))
    return code;
  if (!options.precision)
    options.precision = g_strdup ("float32");
  if (!options.query)
    options.query = g_strdup (DEFAULT_QUERY);
  mistake = find_mistake (&options);
  if (mistake || argc != 4) {
    seedctl_complain ("eval", "%s%s; see seedctl eval --help", mistake ? mistake : "expected ",
        mistake ? "" : arguments);
    return SEEDCTL_USAGE;
  }
  options.model = argv[2];
  options.data.location = argv[3];
  return run (&options, task);
}

static void
print_help (void)
{
  g_print ("Usage: seedctl eval TASK ...\n\nTasks (seedctl eval TASK --help tells more):\n");
  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    g_print ("  %-10s %-24s %s\n", tasks[i].task, tasks[i].arguments, tasks[i].summary);
  g_print ("  %-10s %-24s %s\n", "table", "FILES...", "merge reports into one table");
}

int
seedctl_eval (int argc, char **argv)
{
  if (argc >= 2 && (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0)) {
    print_help ();
    return SEEDCTL_DONE;
  }
  if (argc >= 2 && strcmp (argv[1], "table") == 0)
    return seedctl_eval_table (argc - 1, argv + 1);
  for (guint i = 0; argc >= 2 && i < G_N_ELEMENTS (tasks); i++) {
    if (strcmp (argv[1], tasks[i].task) == 0)
      return run_task (i, argc, argv);
  }
  seedctl_complain ("eval", "expected a task: knn, linear, retrieval, duplicates, anchors, cuts, "
                            "grounding or table; see seedctl eval --help");
  return SEEDCTL_USAGE;
}
