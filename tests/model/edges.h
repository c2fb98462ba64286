/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_MODEL_EDGES_H
#define TESTS_MODEL_EDGES_H

/* The edges of a slot's word, see shared/lease.h: all that there are, in the one place from which the model and the
 * checker of traces have them. What is here must mean the same to Promela and to C. */

#define WORD_VACANT 0
#define WORD_IDLE 1
#define WORD_BUSY 2
#define WORD_RECALLED 6 /* BUSY, with the recall bit */
#define WORD_SHIFT 3    /* above it is the generation */

#define WORD(GENERATION, STATE) (((GENERATION) << WORD_SHIFT) | (STATE))
#define WORD_STATE(WORD) ((WORD) & ((1 << WORD_SHIFT) - 1))
#define WORD_GENERATION(WORD) ((WORD) >> WORD_SHIFT)

/* EDGE(name, who walks it, from, to, by how much the generation grows) */
#define EDGES(EDGE) \
    EDGE(grant, owner, WORD_VACANT, WORD_IDLE, 0) \
    EDGE(revoke, owner, WORD_IDLE, WORD_VACANT, 1) \
    EDGE(recall, owner, WORD_BUSY, WORD_RECALLED, 0) \
    EDGE(take, client, WORD_IDLE, WORD_BUSY, 0) \
    EDGE(release, client, WORD_BUSY, WORD_IDLE, 0) \
    EDGE(give_back, client, WORD_RECALLED, WORD_VACANT, 1)

#endif
