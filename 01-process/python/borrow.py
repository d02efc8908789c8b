"""A function that gets a list may look at it or change it: nothing says which.

Output: exact.
"""


def total(prices):
    return sum(prices)


def reduce(prices):
    for index in range(len(prices)):
        prices[index] -= 1


prices = [3, 4, 5]
print(f"total: {total(prices)}")
reduce(prices)
print(f"reduced: {prices}")

copy = prices.copy()  # an assignment would give the same list a second name
copy.append(6)
print(f"{len(prices)} and {len(copy)}")
