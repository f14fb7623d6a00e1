/* classify_moons.c: reads points, two numbers each, and prints 1 or -1 for each of them, by the
 * network that moons_to_c.py has trained. What else stands on a line is compared with that. */
#include <stdio.h>

#include "moons.h"

int main(void) {
    double point[MOONS_INPUTS], score;
    char line[256];
    int wrong = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        int expected = 0;
        if (sscanf(line, "%lf %lf %d", &point[0], &point[1], &expected) < 2) continue;
        if (moons(point, moons_parameters, &score) != MOONS_OK) return 2;
        const int side = score > 0.0 ? 1 : -1;
        printf("%d\n", side);
        wrong += expected != 0 && expected != side;
    }
    return wrong != 0;
}
