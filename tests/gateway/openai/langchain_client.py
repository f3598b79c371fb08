"""What an unmodified `ChatOpenAI` of LangChain gets from the API; prints it as JSON for the test to check."""

import json
import os

from langchain_openai import ChatOpenAI

QUESTION = os.environ["QUESTION"]
options = {
    "base_url": os.environ["BASE_URL"],
    "api_key": "any",
    "model": "deepsearch",
    "max_retries": 0,
    "extra_body": {"no_direct_answer": True},
}
told = {}

chat = ChatOpenAI(**options)
whole = chat.invoke([("system", "Be brief."), ("human", QUESTION)])
told["content"], told["usage"] = whole.content, whole.usage_metadata
streamed = None
told["chunks"] = 0
for chunk in ChatOpenAI(**options, stream_usage=True).stream(QUESTION):
    told["chunks"] += 1
    streamed = chunk if streamed is None else streamed + chunk
told["streamed"], told["streamed_usage"] = streamed.content, streamed.usage_metadata
told["finish_reason"] = streamed.response_metadata["finish_reason"]

response = ChatOpenAI(**options, use_responses_api=True).invoke(QUESTION)
told["output"] = response.text
streamed = None
for chunk in ChatOpenAI(**options, use_responses_api=True).stream(QUESTION):
    streamed = chunk if streamed is None else streamed + chunk
told["output_streamed"] = streamed.text
told["cited"] = [note["url"] for block in streamed.content if block.get("type") == "text" for note in block.get("annotations", [])]
try:
    ChatOpenAI(**{**options, "model": "gpt-4o"}).invoke(QUESTION)
except Exception as error:
    told["error"] = type(error).__name__
print(json.dumps(told))
