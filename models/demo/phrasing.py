"""Turns one written question into the many ways people type it.

Everything here keeps the meaning: question frames, synonyms, polite words, contractions, missing
words, typos, casing and punctuation. The held-out phrasings of facts.json never pass through here.
"""

import random
import re

HOW = ["how do i", "how can i", "how to", "how would i", "how should i", "how does one", "where do i", "where can i",
       "i want to", "i would like to", "i need to", "i wish to", "i am trying to", "can you tell me how to",
       "tell me how to", "show me how to", "explain how to", "what do i do to", "what is the way to", "is there a way to",
       "what is the best way to", "i do not know how to", "help me to", "please help me", "what must i do to", "how might i",
       "could you explain how to", "what are the steps to", ""]
WHAT = ["what is", "what exactly is", "what's", "explain", "can you explain", "please explain", "tell me about", "describe",
        "define", "what do you mean by", "what is meant by", "tell me more about", "i do not understand", "could you explain",
        "what would be", "i do not know what is", "what the heck is", "say something about", "i want to know what is"]
WHAT_ARE = ["what are", "what exactly are", "explain", "tell me about", "describe", "what do you mean by", "can you explain"]
MUST = ["do i need to", "do i have to", "must i", "should i", "is it necessary to", "am i required to", "will i have to",
        "is it required to", "would i need to"]
NEED = ["do i need", "do i require", "is it necessary to have", "must i have", "should i have", "does it need", "is there a need for",
        "does the app need", "do you need", "will i need", "does one need"]
MAY = ["can i", "could i", "am i able to", "is it possible to", "may i", "is there a way to", "am i allowed to", "will i be able to"]
DOES = ["does it", "does this app", "does the app", "does myownllm", "will it", "does this program", "can it", "would it"]
WHERE = ["where is", "where can i find", "where do i find", "where do i see", "in which place is", "where exactly is", "how do i find",
         "where would i find", "i cannot find"]
WHICH = ["which", "what", "which of the", "tell me which", "what kind of", "can you say which"]
WHY = ["why is", "why would", "what is the reason that", "i wonder why", "why on earth is", "how come"]
FRAMES = [("how do i ", HOW), ("how can i ", HOW), ("what is ", WHAT), ("explain ", WHAT), ("what are ", WHAT_ARE),
          ("do i need to ", MUST), ("do i have to ", MUST), ("must i ", MUST), ("do i need ", NEED), ("can i ", MAY),
          ("does it ", DOES), ("where is ", WHERE), ("which ", WHICH), ("why is ", WHY)]

SYNONYMS = [line.split("|") for line in """
create|make|set up
start|begin
delete|remove|erase
show|display|list
see|view|look at
change|modify|alter|edit|adjust
stop|halt|end
cancel|abort
use|work with|employ
connect|link|hook up
add|put in|include
find|locate
choose|select|pick
open|launch|bring up
quit|exit
approve|accept|allow|confirm
deny|refuse|reject|decline
device|computer|machine
devices|computers|machines
laptop|notebook
phone|smartphone|mobile|tablet
desktop|workstation|pc
answer|reply|response
answers|replies|responses
question|prompt|query
chat|conversation
chats|conversations
gpu|graphics card|video card
fast|quick|rapid
faster|quicker
slow|sluggish|laggy
bigger|larger|better|stronger|smarter
router|modem
stored|saved|kept
store|save|keep
safe|secure
price|cost
need|require
reach|access|contact
reachable|available|accessible
settings|preferences|options
shortcut|hotkey
shortcuts|hotkeys|key bindings
terminal|console|shell|command line
folder|directory
friend|buddy|colleague|partner
explain|describe|clarify
wrong|incorrect|false
correct|right|true
lend|share|offer
lending|sharing
expire|time out|run out
dark mode|dark theme|night mode
daemon|background service
license|licence
engine|backend
engines|backends
invite|invitation
join|enter
leave|quit|exit
screen|display|monitor
old|earlier|previous|past
new|fresh|another
several|multiple|many
different|other
title|name
person|human
mistakes|errors
program|application|tool
programs|applications|tools
app|program|application
supported|possible
strangers|outsiders|unknown people
others|other people|someone else
crashed|failed|died|broke
turn off|disable|switch off
turn on|enable|switch on
required|necessary|needed
this device|this computer|this machine
needed|required|necessary
sent|transmitted|uploaded
company|firm|corporation
mean|signify
also|too
""".strip().splitlines()]
CONTRACT = [("what is", "what's"), ("do not", "don't"), ("i am", "i'm"), ("it is", "it's"), ("is not", "isn't"), ("does not", "doesn't"),
            ("cannot", "can't"), ("cannot", "can not"), ("you are", "you're"), ("where is", "where's"), ("i have", "i've"), ("who is", "who's"),
            ("did not", "didn't"), ("how do i", "how do you"), ("how do i", "how do we"), ("please", "pls"), ("you", "u"), ("are", "r")]
PREFIX = ["please tell me", "can you tell me", "could you tell me", "tell me", "hey,", "hello,", "hi,", "hi there,", "sorry,", "excuse me,",
          "i want to know", "i was wondering", "quick question:", "one more question:", "i have a question:", "please", "so", "and", "well,", "ok,", "ok so",
          "do you know", "i would like to know", "just curious,", "next question:", "another thing:", "also,", "now", "dear demo,", "my question is",
          "thanks, and", "thank you.", "let me ask:", "good morning,", "um,", "actually,", "but", "then", "say,", "demo,"]
SUFFIX = ["please", "in this app", "in the app", "here", "in myownllm", "with this app", "with myownllm", "thanks", "thank you", "now", "exactly",
          "for me", "again", "then", "anyway", "in this program", "right now", "quickly", "if i want", "today", "as a beginner", "on my computer",
          "pls", "by the way", "on this device", "actually", "and how", "please help", "i wonder"]
FILLER = ["actually", "exactly", "just", "really", "now", "simply", "also", "maybe", "easily", "even", "still"]
WEAK = set("a an the my i do to of in is it this that for on at please can you with are from your me does be or and by".split())
TYPO_KEYS = {a: b for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for a, b in zip(row, row[1:] + row[-2])}
SMALL_TALK = {"greeting", "thanks", "goodbye", "acknowledge", "how_are_you", "frustrated"}
SYN = {}
for _group in SYNONYMS:
    for _word in _group:
        SYN.setdefault(_word, []).extend(w for w in _group if w != _word)
SYN_RE = re.compile(r"\b(" + "|".join(sorted(map(re.escape, SYN), key=len, reverse=True)) + r")\b")


def reframe(text: str, rnd: random.Random) -> str:
    """Says the question in another frame, such as "how can I" for "how do I"."""
    for head, frames in FRAMES:
        if text.startswith(head):
            return f"{rnd.choice(frames)} {text[len(head):]}".strip()
    if rnd.random() < 0.3 and len(text.split()) < 6 and text.split()[0] in SYN:
        return f"{rnd.choice(HOW)} {text}".strip()
    return text


def swap_synonyms(text: str, rnd: random.Random, rate: float) -> str:
    """Replaces each known word by one of the same meaning with probability `rate`."""
    return SYN_RE.sub(lambda m: rnd.choice(SYN[m[1]]) if rnd.random() < rate else m[1], text)


def drop_words(text: str, rnd: random.Random) -> str:
    """Leaves out small words, and now and then one word of a longer question."""
    words = text.split()
    if len(words) < 4:
        return text
    kept = [w for w in words if w not in WEAK or rnd.random() > 0.25]
    strong = [i for i, w in enumerate(kept) if w not in WEAK]
    if len(strong) >= 4 and rnd.random() < 0.25:
        kept.pop(rnd.choice(strong))
    return " ".join(kept) if len(kept) >= 2 else text


def typo(text: str, rnd: random.Random) -> str:
    """Makes one slip of the keyboard inside a word of four letters or more."""
    spots = [i for i in range(1, len(text) - 1) if text[i - 1:i + 2].isalpha()]
    if not spots:
        return text
    i = rnd.choice(spots)
    kind = rnd.randrange(4)
    if kind == 0:
        return text[:i] + text[i + 1:]
    if kind == 1:
        return text[:i] + text[i] + text[i:]
    if kind == 2:
        return text[:i] + text[i + 1] + text[i] + text[i + 2:]
    return text[:i] + TYPO_KEYS.get(text[i], text[i]) + text[i + 1:]


def dress(text: str, rnd: random.Random) -> str:
    """Casing and punctuation as people type them."""
    roll = rnd.random()
    if roll < 0.5:
        text = text[0].upper() + text[1:]
    elif roll < 0.59:
        text = text.upper()
    elif roll < 0.62:
        text = text.title()
    if rnd.random() < 0.6:
        text = re.sub(r"\bi\b", "I", text)
        text = re.sub(r"\bmyownllm\b(?!:)", "MyOwnLLM", text)
        text = re.sub(r"\bollama\b", "Ollama", text)
        text = re.sub(r"\b(gpu|api|json|gguf|cli|url|openai|ctrl|sql|http)\b", lambda m: "OpenAI" if m[1] == "openai" else "Ctrl" if m[1] == "ctrl" else m[1].upper(), text)
    if rnd.random() < 0.1:
        text = text.replace(",", "").replace("'", "")
    if rnd.random() < 0.12:
        text = text.replace("-", " ")
    return text + rnd.choice(["?", "?", "?", "", "", "", ".", "!", "??", " ?", "...", "?!"])


def vary(text: str, rnd: random.Random, small_talk: bool = False) -> str:
    """One random way to type `text`; deterministic for a seeded `rnd`."""
    if not small_talk:
        if rnd.random() < 0.45:
            text = reframe(text, rnd)
        if rnd.random() < 0.5:
            text = swap_synonyms(text, rnd, 0.3)
        if rnd.random() < 0.25:
            text = drop_words(text, rnd)
        if rnd.random() < 0.2:
            words = text.split()
            words.insert(rnd.randrange(1, len(words) + 1), rnd.choice(FILLER))
            text = " ".join(words)
        if rnd.random() < 0.25:
            text = f"{rnd.choice(PREFIX)} {text}"
        if rnd.random() < 0.25:
            text = f"{text} {rnd.choice(SUFFIX)}"
    if rnd.random() < 0.2:
        for a, b in rnd.sample(CONTRACT, 6):
            text = re.sub(rf"\b{a}\b", b, text)
    if rnd.random() < 0.04:
        text += rnd.choice([" :)", " ;)", " :-)", "\n", "\nthanks", "\n\nplease help", " \U0001f642", " \U0001f44d"])
    roll = rnd.random()
    if roll < 0.2:
        text = typo(text, rnd)
    if roll < 0.04:
        text = typo(text, rnd)
    return dress(text, rnd)
