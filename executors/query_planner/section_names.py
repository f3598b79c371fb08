"""What the first and the last section of a report are called when no model names them."""

from __future__ import annotations

SECTION_NAMES = {
    "en": ("In short", "Open questions"), "zh": ("简要回答", "尚待解答的问题"), "zh-TW": ("簡要回答", "尚待解答的問題"),
    "de": ("Kurz gesagt", "Offene Fragen"), "fr": ("En bref", "Questions ouvertes"), "es": ("En resumen", "Preguntas abiertas"),
    "it": ("In breve", "Domande aperte"), "ja": ("要約", "残された問い"), "ko": ("요약", "남은 질문"),
    "pt": ("Em resumo", "Questões em aberto"), "ru": ("Коротко", "Открытые вопросы"), "ar": ("باختصار", "أسئلة مفتوحة"),
    "hi": ("संक्षेप में", "खुले प्रश्न"), "bn": ("সংক্ষেপে", "অমীমাংসিত প্রশ্ন"), "tr": ("Kısaca", "Açık sorular"),
    "nl": ("Kort gezegd", "Open vragen"), "pl": ("W skrócie", "Pytania otwarte"), "sv": ("I korthet", "Öppna frågor"),
    "no": ("Kort fortalt", "Åpne spørsmål"), "da": ("Kort fortalt", "Åbne spørgsmål"), "fi": ("Lyhyesti", "Avoimet kysymykset"),
    "el": ("Εν συντομία", "Ανοιχτά ερωτήματα"), "he": ("בקצרה", "שאלות פתוחות"), "hu": ("Röviden", "Nyitott kérdések"),
    "id": ("Singkatnya", "Pertanyaan terbuka"), "ms": ("Ringkasnya", "Soalan terbuka"), "th": ("โดยสรุป", "คำถามที่ยังไม่มีคำตอบ"),
    "vi": ("Tóm tắt", "Câu hỏi còn bỏ ngỏ"), "ro": ("Pe scurt", "Întrebări deschise"), "bg": ("Накратко", "Отворени въпроси"),
}  # fmt: skip
"""By language code, for every language that an answer can be asked for in; zh stands for zh-CN."""
