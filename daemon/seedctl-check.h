/* SPDX-License-Identifier: MIT */
#pragma once

/**
 * seedctl check [--json] [--set NAME=VALUE]... FILE
 *
 * Validates a graph file without a daemon and without starting anything: what `seed-run` refuses
 * before it makes an element. @argv[0] is the name of the subcommand. Returns the exit status: 0
 * the graph is good, 1 it has errors (all printed), 2 wrong usage.
 */
int seedctl_check (int argc, char **argv);
