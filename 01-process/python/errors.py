"""A call that can fail raises an exception: nothing in the line says so.

Output: exact.
"""


def half(text):
    number = int(text)
    return number // 2


for text in ["84", "many"]:
    try:
        print(f"half of {text} is {half(text)}")
    except ValueError:
        print(f"{text} is no number")
