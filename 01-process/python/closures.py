"""A closure is a function that brings variables of its surroundings along.

Output: exact.
"""


def main():
    greeting = "hello"
    greet = lambda name: f"{greeting}, {name}"
    print(f"{greet('Ada')}, and {greeting} again")

    guests = 0

    def arrive(more):
        nonlocal guests
        guests += more

    arrive(2)
    arrive(3)
    print(f"{guests} guests")

    # Nothing can be taken away here: the name stays for everybody.
    greet = lambda name: f"{greeting}, {name}"
    print(greet("Bob"))


main()
